// Every command of `kfs`, in the order in which help shows them: the one list. Each command's function is in
// a file of its own; app.cc alone includes this header, so that a new command builds that file and app.cc
// anew, and nothing else (docs/adding-a-command.md).
#pragma once

// GROUP(name, description, footer): `kfs NAME COMMAND`. COMMAND(function) adds one or several commands to the
// group before it; those before the first group belong to `kfs` itself.
// clang-format off
#define KFS_COMMANDS(GROUP, COMMAND)                                                                         \
  COMMAND(AddMountCommand)                                                                                   \
  COMMAND(AddUmountCommand)                                                                                  \
  COMMAND(AddStatusCommand)                                                                                  \
  COMMAND(AddHealthCommand)                                                                                  \
  COMMAND(AddDoctorCommand)                                                                                  \
  COMMAND(AddDfCommand)                                                                                      \
  COMMAND(AddBenchCommand)                                                                                   \
  COMMAND(AddHelpCommand)                                                                                    \
  COMMAND(AddVersionCommand)                                                                                 \
  GROUP("volume", "Make, delete, start, stop, set up and show volumes.",                                     \
        "A volume is one file system: a name space of its own, mounted by name, served by one metaserver.")  \
  COMMAND(AddVolumeCreateCommand)                                                                            \
  COMMAND(AddVolumeDeleteCommand)                                                                            \
  COMMAND(AddVolumeStartCommand)                                                                             \
  COMMAND(AddVolumeStopCommand)                                                                              \
  COMMAND(AddVolumeOptionCommands)                                                                           \
  COMMAND(AddVolumeInfoCommand)                                                                              \
  COMMAND(AddVolumeListCommand)                                                                              \
  COMMAND(AddVolumeStatusCommand)                                                                            \
  COMMAND(AddVolumeMoveCommand)                                                                              \
  COMMAND(AddVolumeBackupCommands)                                                                           \
  GROUP("key", "Keys: who may mount what, and who may administer.",                                          \
        "A key opens what it was made for, and is ended by revoking it. The cluster's secret opens "         \
        "everything: it is for metaservers.")                                                                \
  COMMAND(AddKeyCommands)                                                                                    \
  COMMAND(AddKeyRootCommand)                                                                                 \
  GROUP("peer", "The metaservers that are the cluster.", "")                                                 \
  COMMAND(AddPeerChangeCommands)                                                                             \
  COMMAND(AddPeerStatusCommand)                                                                              \
  COMMAND(AddPeerWhyCommand)                                                                                 \
  GROUP("chunkserver", "The chunkservers of the cluster.", "")                                               \
  COMMAND(AddChunkserverListCommand)                                                                         \
  COMMAND(AddChunkserverStatusCommand)                                                                       \
  COMMAND(AddChunkserverFilesCommand)                                                                        \
  COMMAND(AddChunkserverChangeCommands)                                                                      \
  COMMAND(AddChunkserverInviteCommand)                                                                       \
  GROUP("cluster", "The configuration as a whole: history, options, transactions.",                          \
        "Every change of the configuration makes a new generation of it, decided by a majority of the "      \
        "metaservers.")                                                                                      \
  COMMAND(AddClusterOptionCommands)                                                                          \
  COMMAND(AddClusterLogCommand)                                                                              \
  COMMAND(AddClusterRevertCommand)                                                                           \
  COMMAND(AddTransactionCommands)
// clang-format on
