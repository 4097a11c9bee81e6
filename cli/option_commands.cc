// set, get and reset of options: of a volume (kfs volume ...) and of the cluster (kfs cluster ...).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/arguments.h"
#include "cli/change.h"
#include "cli/output.h"
#include "cli/reports.h"

namespace kfs::cli {

using nlohmann::json;

namespace {

struct OptionRow {
  std::string value, words;
  bool set = false;
};

std::map<std::string, OptionRow> Options(const pb::ConfShowReply& conf, const pb::VolumeConf* volume,
                                         const std::string& name) {
  std::map<std::string, OptionRow> rows;
  for (const auto& o : conf.option()) {
    if (o.of_cluster() == (volume == nullptr)) rows[o.name()] = {o.fallback(), o.words(), false};
  }
  for (const auto& [option, value] : volume != nullptr ? volume->option() : conf.conf().option()) {
    rows[option].value = value;
    rows[option].set = true;
  }
  if (!name.empty()) std::erase_if(rows, [&](const auto& row) { return row.first != name; });
  return rows;
}

}  // namespace

std::string OptionsText(const pb::ConfShowReply& conf, const pb::VolumeConf* volume,
                        const std::string& name) {
  Table table({"OPTION", "VALUE", "SET", "MEANING"}, {});
  for (const auto& [option, row] : Options(conf, volume, name))
    table.Add({option, row.value, row.set ? "yes" : "default", row.words});
  return table.empty() ? "no option is set\n" : table.Text();
}

json OptionsJson(const pb::ConfShowReply& conf, const pb::VolumeConf* volume, const std::string& name) {
  json out = json::object();
  for (const auto& [option, row] : Options(conf, volume, name))
    out[option] = {{"value", row.value}, {"set", row.set}, {"words", row.words}};
  return out;
}

namespace {

// `volume` stays empty for those of the cluster.
struct OptionArgs {
  std::string volume, option, value;
};
using Args = std::shared_ptr<OptionArgs>;

// "set data atime off", or "set data atime=off".
Status BuildSet(const OptionArgs& args, bool value_given, pb::Change* change) {
  std::string name = args.option, value = args.value;
  size_t equals = name.find('=');
  if (!value_given && equals != std::string::npos) {
    value = name.substr(equals + 1);
    name.resize(equals);
  }
  if (name.empty() || name.find('=') != std::string::npos)
    return Status(EINVAL,
                  fmt::format("'{}' is no option's name (OPTION VALUE, or OPTION=VALUE)", args.option));
  if (value.empty())
    return Status(EINVAL, fmt::format("{}: a value is needed; 'reset' goes back to the default", name));
  change->mutable_set_option()->set_volume(args.volume);
  change->mutable_set_option()->set_name(name);
  change->mutable_set_option()->set_value(value);
  return {};
}

int RunGet(GlobalOptions& global, const OptionArgs& args, bool of_volume) {
  int code = kOk;
  auto conf = CallOrReport<rpc::ConfShow>(global, {}, &code);
  if (conf == nullptr) return code;
  const pb::VolumeConf* volume = nullptr;
  for (const auto& v : conf->conf().volume()) {
    if (of_volume && v.name() == args.volume) volume = &v;
  }
  if (of_volume && volume == nullptr) {
    return Report(
        Status(ENOENT, fmt::format("there is no volume \"{}\" (see: kfs volume list)", args.volume)),
        kNotFound);
  }
  if (!args.option.empty() && Options(*conf, volume, args.option).empty()) {
    return Report(
        Status(ENOENT,
               fmt::format("there is no option \"{}\", or it is not set ('get' without a name shows all)",
                           args.option)),
        kNotFound);
  }
  if (global.json) {
    PrintJson(OptionsJson(*conf, volume, args.option));
  } else {
    Print(OptionsText(*conf, volume, args.option));
  }
  return kOk;
}

// A command of the group, with the volume as its first argument where it has one, and the option's name.
struct OptionCommand {
  CLI::App* command;
  CLI::Option* option;
};
OptionCommand Add(CLI::App& group, GlobalOptions& global, bool of_volume, const char* name, const char* words,
                  const char* option_words, const Args& args) {
  CLI::App* command = group.add_subcommand(name, words);
  command->fallthrough();
  if (of_volume) AddVolumeArgument(command, global, &args->volume);
  CLI::Option* option = command->add_option("OPTION", args->option, option_words)->type_name("");
  global.names[option] = of_volume ? Names::kVolumeOption : Names::kClusterOption;
  return {command, option};
}

void AddOptionCommands(CLI::App& group, GlobalOptions& global, bool of_volume) {
  auto set = std::make_shared<OptionArgs>();
  OptionCommand c = Add(group, global, of_volume, "set",
                        of_volume ? "Set an option of a volume." : "Set an option of the cluster.",
                        "The option; or OPTION=VALUE.", set);
  c.option->required();
  CLI::Option* value = c.command->add_option("VALUE", set->value, "Its value.")->type_name("");
  MakeChangeCommand(
      c.command, global,
      {.build = [set, value](pb::Change* change) { return BuildSet(*set, value->count() != 0, change); },
       .confirm = nullptr,
       .next = nullptr});

  auto get = std::make_shared<OptionArgs>();
  c = Add(group, global, of_volume, "get",
          of_volume ? "Show the options of a volume." : "Show the options of the cluster.",
          "The option. Default: all of them.", get);
  c.command->callback([&global, get, of_volume] {
    global.run = [&global, get, of_volume] { return RunGet(global, *get, of_volume); };
  });

  auto reset = std::make_shared<OptionArgs>();
  c = Add(group, global, of_volume, "reset", "Give an option its default again.", "The option.", reset);
  c.option->required();
  MakeChangeCommand(c.command, global,
                    {.build =
                         [reset](pb::Change* change) {
                           change->mutable_set_option()->set_volume(reset->volume);
                           change->mutable_set_option()->set_name(reset->option);
                           return Status();
                         },
                     .confirm = nullptr,
                     .next = nullptr});
}

}  // namespace

void AddVolumeOptionCommands(CLI::App& volume, GlobalOptions& global) {
  AddOptionCommands(volume, global, true);
}
void AddClusterOptionCommands(CLI::App& cluster, GlobalOptions& global) {
  AddOptionCommands(cluster, global, false);
}

}  // namespace kfs::cli
