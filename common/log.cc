#include "common/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <syslog.h>

#include <mutex>

#include "common/log_line.h"

namespace kfs {
namespace {

std::mutex g_mutex;  // guards g_config: what ReopenLog needs; spdlog's default logger is process-wide anyhow
struct LogConfig {
  std::string program, file, level;
} g_config;

}  // namespace

Status InitLog(const std::string& program, const std::string& file, const std::string& level) {
  auto parsed = spdlog::level::from_str(level);
  if (parsed == spdlog::level::off && level != "off") {
    return Status(EINVAL, "log-level '" + level + "' is not one of trace, debug, info, warn, error, off");
  }
  try {
    std::shared_ptr<spdlog::sinks::sink> sink;
    const bool to_system = file == kLogToSystem;
    if (file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else if (to_system) {
      sink = std::make_shared<spdlog::sinks::syslog_sink_mt>(program, LOG_PID, LOG_DAEMON,
                                                             /*enable_formatting=*/true);
    } else {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
    }
    auto logger =
        std::make_shared<spdlog::logger>(program, LineSink(sink, file.empty() && StderrIsJournal()));
    logger->set_level(parsed);
    logger->flush_on(spdlog::level::info);
    logger->set_pattern(to_system ? "%v" : "%Y-%m-%dT%H:%M:%S.%f%z %L %n[%P] %v");
    spdlog::set_default_logger(std::move(logger));
  } catch (const spdlog::spdlog_ex& e) {
    return Status(EIO, "cannot open log file " + file + ": " + e.what());
  }
  std::lock_guard lock(g_mutex);
  g_config = {program, file, level};
  return {};
}

void ReopenLog() {
  LogConfig config;
  {
    std::lock_guard lock(g_mutex);
    config = g_config;
  }
  if (config.file.empty() || config.file == kLogToSystem) return;
  if (Status s = InitLog(config.program, config.file, config.level); !s.ok()) {
    KFS_LOG(error, "log.reopen_failed reason=\"{}\"", s.ToString());
  }
}

}  // namespace kfs
