import os
def sub(p, a, b, n=1):
    s=open(p).read(); assert s.count(a)>=1,(p,a); s=s.replace(a,b,n); open(p,'w').write(s)
# metaserver
sub('metaserver/CMakeLists.txt','volume_host.cc image_service.cc','cluster_keyring.cc key_service.cc volume_host.cc image_service.cc')
sub('metaserver/metaserver.h','''  void UpdateMetrics();
''','''  // key_service.cc
  void RegisterKeys();
  // Ends what was opened with keys that are revoked or have expired.
  void EndOfKeys();
  void NameLinkKey(const Session& session, ServerId server, pb::Server* out);

  void UpdateMetrics();
''')
sub('metaserver/metaserver.h','''  std::unique_ptr<Server> server_;
''','''  std::shared_ptr<ClusterKeyring> keyring_;
  std::unique_ptr<Server> server_;
''')
s=open('metaserver/metaserver.h').read()
i=s.index('#include "metaserver/configuration') if '#include "metaserver/configuration' in s else s.index('#include "metaserver/executor/executor.h"')
s=s[:i]+'#include "metaserver/cluster_keyring.h"\n'+s[i:]
open('metaserver/metaserver.h','w').write(s)
sub('metaserver/metaserver.cc','''  server_ = std::make_unique<Server>(''','''  keyring_ = std::make_shared<ClusterKeyring>(
      credentials, clock_, [this] { return member_ == nullptr ? nullptr : &member_->conf(); });
  server_ = std::make_unique<Server>(''')
sub('metaserver/metaserver.cc','.keyring = RootKeyring(credentials.key())','.keyring = keyring_')
sub('metaserver/metaserver.cc','''                      .where = [this](const std::string& name) { return Where(name); },
''','''                      .where = [this](const std::string& name) { return Where(name); },
                      .link_key = [this](const Session& s, ServerId server,
                                         pb::Server* out) { NameLinkKey(s, server, out); },
''')
sub('metaserver/metaserver.cc','''  RegisterAdmin();
''','''  RegisterAdmin();
  RegisterKeys();
''')
sub('metaserver/metaserver.cc','''      mover_->OnTimer();
''','''      EndOfKeys();
      mover_->OnTimer();
''')
sub('metaserver/metaserver.cc','''executor_->OpenSession(call, request, connection->hello.host(), connection->hello.id());''','''executor_->OpenSession(call, request, connection->hello.host(), connection->hello.id(), RightsOf(*connection));''')
sub('metaserver/configuration.cc','''  EndAccepted(nullptr);
''','''  EndAccepted(nullptr);
  EndOfKeys();
''')
sub('metaserver/executor/executor.h','''    // Its database is damaged:''','''    // For a session with a key: that of its link to the chunkserver, into what names the chunkserver to it.
    std::function<void(const Session&, ServerId, pb::Server*)> link_key;
    // Its database is damaged:''')
sub('metaserver/executor/executor.h','''  const ExecutorOptions& options() const { return options_; }
''','''  const ExecutorOptions& options() const { return options_; }
  void NameLinkKey(const Session& session, ServerId server, pb::Server* out) const {
    if (hooks_.link_key && !session.rights.key().empty()) hooks_.link_key(session, server, out);
  }
''')
# chunkserver
sub('chunkserver/CMakeLists.txt','chunk_io.cc','chunk_io.cc chunk_keyring.cc')
