// How a program uses KFS without a mount: connects, makes directories, writes, reads, renames, lists, and
// cleans up. Exits 0 when everything was as expected.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>

#include "client/kfs_client.h"

namespace {

constexpr const char* kUsage =
    "usage: kfs-example --metaserver HOST:PORT --volume NAME --secret-file FILE\n"
    "\n"
    "Shows the client library at work: makes a directory on the volume, works in it, and removes it again.\n"
    "\n"
    "  --metaserver HOST:PORT  where the metaserver listens (may be given several times)\n"
    "  --volume NAME           the volume to work on\n"
    "  --secret-file FILE      the cluster's secret (default /etc/kfs/secret)\n"
    "  --trace                 log each request's way through the client\n"
    "  --metrics               print what the client has counted, as Prometheus reads it\n";

// Ends the program with words when a step failed.
void Check(const kfs::Status& status, const char* step) {
  if (status.ok()) return;
  std::fprintf(stderr, "kfs-example: %s: %s\n", step, status.ToString().c_str());
  std::exit(1);
}

template <typename T>
T Check(kfs::Result<T> result, const char* step) {
  Check(result.status(), step);
  return std::move(*result);
}

kfs::KfsClient::Options ParseArguments(int argc, char** argv, bool* metrics) {
  kfs::KfsClient::Options options;
  options.secret_file = "/etc/kfs/secret";
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    if (name == "--metrics") {
      *metrics = true;
      continue;
    }
    if (name == "--trace") {
      options.trace = true;
      continue;
    }
    if (i + 1 == argc || (name != "--metaserver" && name != "--volume" && name != "--secret-file")) {
      std::fprintf(stderr, "kfs-example: unknown or incomplete option %s\n\n%s", argv[i], kUsage);
      std::exit(2);
    }
    const std::string value = argv[++i];
    if (name == "--metaserver") options.metaservers.push_back(value);
    if (name == "--volume") options.volume = value;
    if (name == "--secret-file") options.secret_file = value;
  }
  if (options.metaservers.empty() || options.volume.empty()) {
    std::fprintf(stderr, "kfs-example: --metaserver and --volume are needed\n\n%s", kUsage);
    std::exit(2);
  }
  return options;
}

// What client/kfs_client.h begins with, word for word.
kfs::Status Hello(const kfs::KfsClient::Options& options) {
  kfs::Result<std::unique_ptr<kfs::KfsClient>> connected = kfs::KfsClient::Connect(options);
  if (!connected.ok()) return connected.status();
  kfs::KfsClient& client = **connected;
  // By path, blocking.
  kfs::Result<kfs::Attr> dir = client.Mkdir({}, "/hello", 0755);
  if (!dir.ok()) return dir.status();
  // By inode and handle; Wait makes a blocking call of one with a completion.
  auto file = client.Wait<kfs::KfsClient::Opened>(
      [&](auto done) { client.Create({}, dir->ino, "file", 0644, O_RDWR, done); });
  if (!file.ok()) return file.status();
  auto written = client.Wait<uint32_t>(
      [&](auto done) { client.Write({}, file->handle, 0, kfs::Buffer::Copy("hello", 5), {}, done); });
  if (!written.ok()) return written.status();
  kfs::Status synced = client.WaitStatus([&](auto done) { client.Fsync(file->handle, false, done); });
  if (!synced.ok()) return synced;
  // A completion runs on the client's own thread, its worker's.
  std::promise<uint64_t> size;
  client.Lookup({}, dir->ino, "file", [&](const kfs::Result<kfs::Entry>& found) {
    size.set_value(found.ok() ? found->attr.size : 0);
  });
  std::printf("hello has %d bytes\n", static_cast<int>(size.get_future().get()));
  // Every handle is released once.
  return client.WaitStatus([&](auto done) { client.Release(file->handle, false, 0, done); });
}

// The completion form: many calls at once from one thread, answered on the worker's thread.
void MakeManyDirectories(kfs::KfsClient& client, kfs::Ino parent, int count) {
  std::promise<int> all;
  int answered = 0, made = 0;  // worker's thread only
  for (int i = 0; i < count; ++i) {
    client.Mkdir({}, parent, "d" + std::to_string(i), 0755, [&](kfs::Result<kfs::Entry> r) {
      if (r.ok()) ++made;
      if (++answered == count) all.set_value(made);
    });
  }
  const int total = all.get_future().get();
  std::printf("made %d directories with all requests in flight at once\n", total);
  if (total != count) std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  bool metrics = false;
  const kfs::KfsClient::Options options = ParseArguments(argc, argv, &metrics);
  Check(Hello(options), "hello");
  auto client = Check(kfs::KfsClient::Connect(options), "connect");
  const kfs::Caller me;  // uid 0, gid 0

  if (Check(client->ReadFile(me, "/hello/file"), "read hello") != "hello") return 1;
  Check(client->Remove(me, "/hello/file"), "remove hello");
  Check(client->Remove(me, "/hello"), "rmdir hello");

  // By path, blocking.
  const std::string base = "/example-" + std::to_string(getpid());
  const kfs::Attr dir = Check(client->Mkdir(me, base, 0755), "mkdir");
  Check(client->WriteFile(me, base + "/hello", "hello, world\n", 0644), "write");
  Check(client->Rename(me, base + "/hello", base + "/greeting"), "rename");
  const std::string text = Check(client->ReadFile(me, base + "/greeting"), "read");
  std::printf("read back: %s", text.c_str());
  if (text != "hello, world\n") return 1;

  // By inode number, blocking: Wait turns a completion into a result.
  const kfs::Entry found = Check(
      client->Wait<kfs::Entry>([&](auto done) { client->Lookup(me, dir.ino, "greeting", done); }), "lookup");
  const kfs::Attr& file = found.attr;
  std::printf("inode %llu has %llu bytes\n", static_cast<unsigned long long>(file.ino.v),
              static_cast<unsigned long long>(file.size));

  MakeManyDirectories(*client, dir.ino, 100);

  int entries = 0;
  for (const kfs::DirEntry& entry : Check(client->List(me, base), "list")) {
    if (entry.name == "." || entry.name == "..") continue;
    ++entries;
    Check(client->Remove(me, base + "/" + entry.name), "remove");
  }
  std::printf("listed and removed %d entries\n", entries);
  if (entries != 101) return 1;
  Check(client->Remove(me, base), "rmdir");
  if (metrics) std::printf("%s", client->MetricsText().c_str());
  Check(client->Shutdown(), "shutdown");
  std::printf("done\n");
  return 0;
}
