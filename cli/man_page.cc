#include "cli/man_page.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <sstream>
#include <string_view>

#include "rpc/hello.h"

namespace kfs::cli {
namespace {

// Text as roff takes it: no line begins a request, dashes and backslashes are themselves.
std::string Escape(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  if (!out.empty() && (out[0] == '.' || out[0] == '\'')) out.insert(0, "\\&");
  return out;
}

std::string Heading(const std::string& page, int section, const std::string& what) {
  std::string_view version = std::string_view(kSoftware);
  return fmt::format(".TH \"{}\" {} \"\" \"{}\" \"KFS\"\n.SH NAME\n{} \\- {}\n", Escape(page), section,
                     version, Escape(page), Escape(what));
}

// Plain text: paragraphs are parted by empty lines, indented lines are kept as they are.
std::string Prose(const std::string& text) {
  std::string out, line;
  bool literal = false;
  std::istringstream in(text);
  while (std::getline(in, line)) {
    bool indented = !line.empty() && line[0] == ' ';
    if (indented != literal && !line.empty()) {
      out += indented ? ".PP\n.nf\n" : ".fi\n.PP\n";
      literal = indented;
    }
    out += line.empty() ? (literal ? "\n" : ".PP\n") : Escape(line) + "\n";
  }
  if (literal) out += ".fi\n";
  return out;
}

// "NAME: what it is for" lines, of options and positionals alike.
std::string Options(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    bool positional = option->get_positional();
    std::string name = positional ? option->get_name(true) : option->get_name(false, true);
    if (!positional && option->get_items_expected_max() != 0) name += " " + option->get_type_name();
    for (size_t at = 0; (at = name.find(',', at)) != std::string::npos; at += 2) name.replace(at, 1, ", ");
    out += fmt::format(".TP\n.B {}\n{}\n", Escape(name), Escape(option->get_description()));
  }
  return out;
}

// "NAME [OPTION]", as the command line takes them.
std::string Positionals(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    std::string name = option->get_name(true) + (option->get_items_expected_max() > 1 ? "..." : "");
    out += (out.empty() ? "" : " ") + (option->get_required() ? name : "[" + name + "]");
  }
  return out;
}

void Commands(const CLI::App& app, const std::string& prefix, std::string* out) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_group().empty()) continue;
    std::string name = prefix + " " + command->get_name();
    if (!command->get_subcommands([](const CLI::App*) { return true; }).empty()) {
      Commands(*command, name, out);
      continue;
    }
    std::string arguments = Positionals(*command);
    *out += fmt::format(".SS {}{}{}\n{}\n", Escape(name), arguments.empty() ? "" : " ", Escape(arguments),
                        Escape(command->get_description()));
    if (command->get_name() == "mount") {
      *out += "See\n.BR kfs\\-mount (8).\n";
      continue;
    }
    *out += Options(*command);
    if (!command->get_footer().empty()) *out += ".PP\n" + Prose(command->get_footer());
  }
}

constexpr char kSeeAlso[] =
    ".SH SEE ALSO\n.BR kfs (1),\n.BR kfs\\-mount (8),\n.BR kfs\\-metaserver (8),\n.BR kfs\\-chunkserver "
    "(8)\n";

// "kfs-volume": the commands of one group; empty: there is none of this name.
std::string GroupPage(CLI::App& app, const std::string& name) {
  const auto found = app.get_subcommands([&](const CLI::App* group) {
    return name == "kfs-" + group->get_name() &&
           !group->get_subcommands([](const CLI::App*) { return true; }).empty();
  });
  if (found.empty()) return "";
  const CLI::App& group = *found.front();
  std::string out = Heading(name, 1, group.get_description());
  out += fmt::format(".SH SYNOPSIS\n.B kfs {}\n\\fIcommand\\fR [\\fIarguments\\fR]\n.SH COMMANDS\n",
                     Escape(group.get_name()));
  Commands(group, "kfs " + group.get_name(), &out);
  out += ".SH OPTIONS\nEvery command takes these.\n" + Options(app);
  if (!group.get_footer().empty()) out += ".SH NOTES\n" + Prose(group.get_footer());
  return out + kSeeAlso;
}

std::string MainPage(CLI::App& app) {
  std::string out = Heading("kfs", 1, app.get_description());
  out += ".SH SYNOPSIS\n.B kfs\n[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]\n";
  out += ".SH OPTIONS\nEvery command takes these.\n" + Options(app) + ".SH COMMANDS\n";
  Commands(app, "kfs", &out);
  out += ".SH NOTES\n" + Prose(app.get_footer());
  return out + kSeeAlso;
}

std::string MountPage(CLI::App& app, const std::string& name) {
  const CLI::App* mount = nullptr;
  try {
    mount = app.get_subcommand("mount");
  } catch (const CLI::OptionNotFound&) {
    return "";
  }
  std::string called = name == "kfs-mount" ? "kfs mount" : name;
  std::string out = Heading(name, 8, mount->get_description());
  out += fmt::format(".SH SYNOPSIS\n.B {}\n{} [\\-o \\fIoptions\\fR]\n", Escape(called),
                     Escape(Positionals(*mount)));
  if (name == "mount.kfs")
    out += ".br\n.B mount \\-t kfs\n" + Escape(Positionals(*mount)) + " [\\-o \\fIoptions\\fR]\n";
  out += ".SH OPTIONS\n" + Options(*mount) + ".SH NOTES\n" + Prose(mount->get_footer());
  return out + kSeeAlso;
}

}  // namespace

std::string ManPage(CLI::App& app, const std::string& name) {
  if (name.empty() || name == "kfs") return MainPage(app);
  if (name == "kfs-mount" || name == "mount") return MountPage(app, "kfs-mount");
  if (name == "mount.kfs") return MountPage(app, name);
  return GroupPage(app, name);
}

std::string DaemonManPage(const std::string& program, const std::string& sample_config) {
  bool meta = program == "kfs-metaserver";
  std::string out = Heading(program, 8,
                            meta ? "KFS's metaserver: names, attributes, locks and the places of data"
                                 : "KFS's chunkserver: keeps the data of files on local disks");
  out += fmt::format(
      ".SH SYNOPSIS\n.B {0}\n[\\-\\-config \\fIfile\\fR] [\\-\\-set \\fIname\\fR=\\fIvalue\\fR]...\n.br\n.B "
      "{0}\n"
      "\\-\\-sample\\-config | \\-\\-help | \\-\\-version\n",
      Escape(program));
  out += ".SH DESCRIPTION\n" +
         Prose(
             "Runs in the foreground and logs to stderr or to log-file. SIGTERM and SIGINT stop it cleanly "
             "(exit code 0), SIGHUP "
             "opens the log file anew. Options come from the configuration file (TOML), then from --set. "
             "--sample-config prints a file with every option at its default.\n");
  out += ".SH OPTIONS OF THE CONFIGURATION\n";
  // "# Help. Allowed: 1 to 2." then "#name = default".
  std::istringstream in(sample_config);
  std::string line, help;
  while (std::getline(in, line)) {
    size_t equals = line.find(" = ");
    if (line.rfind("# ", 0) == 0) {
      help += (help.empty() ? "" : " ") + line.substr(2);
    } else if (line.size() > 1 && line[0] == '#' && equals != std::string::npos) {
      out += fmt::format(".TP\n.B {}\n{} Default: {}\n", Escape(line.substr(1, equals - 1)), Escape(help),
                         Escape(line.substr(equals + 3)));
      help.clear();
    } else {
      help.clear();
    }
  }
  return out + ".SH FILES\n" + Escape(fmt::format("/etc/kfs/{}.toml", program.substr(4))) +
         ", /etc/kfs/secret\n" + kSeeAlso;
}

}  // namespace kfs::cli
