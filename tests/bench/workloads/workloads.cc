// kfs-bench-workloads WORKLOAD --dir DIR [--count N] [--threads T] [--ops N] [--size BYTES]
// One workload over the files DIR/0 .. DIR/(N-1), shared out over T threads. Prints one line:
//     WORKLOAD OPERATIONS SECONDS OPERATIONS-PER-SECOND
// Exit status 1 at the first error, which is printed with its path.

#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

struct Options {
  std::string workload;
  std::string dir;
  uint64_t count = 1000;
  uint64_t ops = 0;  // 0: one for each file
  unsigned threads = 1;
  size_t size_bytes = 4096;
};

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "kfs-bench-workloads: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

std::string PathOf(const Options& o, uint64_t i) { return o.dir + "/" + std::to_string(i); }

int OpenOrDie(const std::string& path, int flags) {
  int fd = open(path.c_str(), flags, 0644);
  if (fd < 0) Die("open " + path);
  return fd;
}
void CloseOrDie(int fd, const std::string& path) {
  if (close(fd) != 0) Die("close " + path);
}

void Create(const Options& o, uint64_t i) {
  CloseOrDie(OpenOrDie(PathOf(o, i), O_CREAT | O_EXCL | O_WRONLY), PathOf(o, i));
}
void Open(const Options& o, uint64_t i) {
  std::string path = PathOf(o, i % o.count);
  CloseOrDie(OpenOrDie(path, O_RDONLY), path);
}
void Stat(const Options& o, uint64_t i) {
  struct stat s;
  if (stat(PathOf(o, i % o.count).c_str(), &s) != 0) Die("stat " + PathOf(o, i % o.count));
}
void Rename(const Options& o, uint64_t i) {
  if (rename(PathOf(o, i).c_str(), (PathOf(o, i) + ".renamed").c_str()) != 0) Die("rename " + PathOf(o, i));
}
void Unlink(const Options& o, uint64_t i) {
  if (unlink((PathOf(o, i) + ".renamed").c_str()) != 0 && unlink(PathOf(o, i).c_str()) != 0)
    Die("unlink " + PathOf(o, i));
}
void WriteSmall(const Options& o, uint64_t i, bool sync) {
  std::string path = PathOf(o, i), data(o.size_bytes, static_cast<char>('a' + i % 26));
  int fd = OpenOrDie(path, O_CREAT | O_WRONLY | O_TRUNC);
  if (write(fd, data.data(), data.size()) != static_cast<ssize_t>(data.size())) Die("write " + path);
  if (sync && fsync(fd) != 0) Die("fsync " + path);
  CloseOrDie(fd, path);
}
void ReadSmall(const Options& o, uint64_t i) {
  std::string path = PathOf(o, i % o.count), data(o.size_bytes, '\0');
  int fd = OpenOrDie(path, O_RDONLY);
  ssize_t n = read(fd, data.data(), data.size());
  if (n < 0) Die("read " + path);
  if (static_cast<size_t>(n) != data.size() || data[0] != static_cast<char>('a' + i % o.count % 26)) {
    errno = EIO;
    Die("wrong content of " + path);
  }
  CloseOrDie(fd, path);
}

// Lists the directory with stat of each entry's type as ls does; one operation is one entry.
uint64_t Readdir(const Options& o) {
  DIR* dir = opendir(o.dir.c_str());
  if (dir == nullptr) Die("opendir " + o.dir);
  uint64_t entries = 0;
  errno = 0;
  while (readdir(dir) != nullptr) ++entries;
  if (errno != 0) Die("readdir " + o.dir);
  closedir(dir);
  return entries;
}

struct Workload {
  const char* name;
  std::function<void(const Options&, uint64_t)> run;
};
const Workload kWorkloads[] = {
    {"create", Create},
    {"open", Open},
    {"stat", Stat},
    {"rename", Rename},
    {"unlink", Unlink},
    {"write-small", [](const Options& o, uint64_t i) { WriteSmall(o, i, false); }},
    {"write-small-fsync", [](const Options& o, uint64_t i) { WriteSmall(o, i, true); }},
    {"read-small", ReadSmall},
};

[[noreturn]] void Usage() {
  std::fprintf(stderr,
               "usage: kfs-bench-workloads WORKLOAD --dir DIR [--count N] [--threads T] [--ops N] [--size "
               "BYTES]\nworkloads: readdir");
  for (const Workload& w : kWorkloads) std::fprintf(stderr, " %s", w.name);
  std::fputs("\n", stderr);
  std::exit(2);
}

Options Parse(int argc, char** argv) {
  static const option kLong[] = {
      {"dir", required_argument, nullptr, 'd'},     {"count", required_argument, nullptr, 'n'},
      {"threads", required_argument, nullptr, 't'}, {"ops", required_argument, nullptr, 'o'},
      {"size", required_argument, nullptr, 's'},    {nullptr, 0, nullptr, 0}};
  Options o;
  for (int c; (c = getopt_long(argc, argv, "", kLong, nullptr)) != -1;) {
    switch (c) {
      case 'd':
        o.dir = optarg;
        break;
      case 'n':
        o.count = std::strtoull(optarg, nullptr, 10);
        break;
      case 't':
        o.threads = static_cast<unsigned>(std::strtoul(optarg, nullptr, 10));
        break;
      case 'o':
        o.ops = std::strtoull(optarg, nullptr, 10);
        break;
      case 's':
        o.size_bytes = std::strtoull(optarg, nullptr, 10);
        break;
      default:
        Usage();
    }
  }
  if (optind + 1 != argc || o.dir.empty() || o.count == 0 || o.threads == 0 || o.size_bytes == 0) Usage();
  o.workload = argv[optind];
  if (o.ops == 0) o.ops = o.count;
  return o;
}

uint64_t RunThreads(const Options& o, const Workload& workload) {
  std::atomic<uint64_t> next{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < o.threads; ++t) {
    threads.emplace_back([&] {
      for (uint64_t i; (i = next.fetch_add(1)) < o.ops;) workload.run(o, i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return o.ops;
}

}  // namespace

int main(int argc, char** argv) {
  Options o = Parse(argc, argv);
  const Workload* workload = nullptr;
  for (const Workload& w : kWorkloads) {
    if (o.workload == w.name) workload = &w;
  }
  if (workload == nullptr && o.workload != "readdir") Usage();
  if (mkdir(o.dir.c_str(), 0755) != 0 && errno != EEXIST) Die("mkdir " + o.dir);
  auto begin = std::chrono::steady_clock::now();
  uint64_t done = workload == nullptr ? Readdir(o) : RunThreads(o, *workload);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%s %llu %.3f %.1f\n", o.workload.c_str(), static_cast<unsigned long long>(done), seconds,
              static_cast<double>(done) / seconds);
  return 0;
}
