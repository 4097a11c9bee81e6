#include "metaserver/store/log_order.h"

#include <rocksdb/file_system.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "rpc/stall.h"

namespace kfs::meta {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

class LogOrder final : public rocksdb::FileSystemWrapper {
 public:
  using rocksdb::FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "kfs.LogOrder"; }

  IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* dbg) override {
    if (path.ends_with(".log")) {
      // A full log is rare, and was synced within the last second.
      const RanPart part("log_switch");
      const IOStatus s = SyncNewestLog(path.substr(0, path.rfind('/')), options);
      if (!s.ok()) return s;
    }
    return FileSystemWrapper::NewWritableFile(path, options, file, dbg);
  }

 private:
  // And its name. Those before it were durable when it was begun.
  IOStatus SyncNewestLog(const std::string& dir, const rocksdb::FileOptions& options) {
    std::vector<std::string> names;
    IOStatus s = GetChildren(dir, IOOptions(), &names, nullptr);
    std::erase_if(names, [](const std::string& name) { return !name.ends_with(".log"); });
    if (!s.ok() || names.empty()) return s;
    // Numbers of six digits and more.
    const auto newest = std::max_element(names.begin(), names.end(), [](const auto& a, const auto& b) {
      return a.size() != b.size() ? a.size() < b.size() : a < b;
    });
    std::unique_ptr<rocksdb::FSRandomRWFile> log;
    s = NewRandomRWFile(dir + "/" + *newest, options, &log, nullptr);
    if (s.ok()) s = log->Fsync(IOOptions(), nullptr);
    std::unique_ptr<rocksdb::FSDirectory> names_of;
    if (s.ok()) s = NewDirectory(dir, IOOptions(), &names_of, nullptr);
    if (s.ok()) s = names_of->Fsync(IOOptions(), nullptr);
    return s;
  }
};

}  // namespace

LogOrderEnv::LogOrderEnv(rocksdb::Env* env) : EnvWrapper(env) {
  file_system_ = std::make_shared<LogOrder>(env->GetFileSystem());
}

}  // namespace kfs::meta
