#include "metaserver/members/asking.h"

#include "common/utf8.h"
#include "metaserver/cluster/asked_by.h"

namespace kfs::meta {

void NoteAsker(const IncomingCall& call, pb::CommandContext* ctx) {
  const AskedBy by{.who = AskerWord(ctx->asked_by()), .key = call.connection()->hello.key_id()};
  ctx->set_words(WithAsker(Printable(ctx->words(), kWordsMax), by));
  ctx->clear_asked_by();
}

}  // namespace kfs::meta
