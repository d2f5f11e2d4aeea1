// How does a client copy the store while others write?
//
//   BACKUP BEGIN                 a checkpoint is made; from its redo point on the log stays
//   BACKUP PAGES first count     until all pages that BEGIN spoke of are there
//   BACKUP STOP                  the copy is whole with the log up to here
//   BACKUP LOG position          from the start of the start's log file to the stop
//   BACKUP END                   the log may go; so does the end of the connection
//
// See also: storage/backup_source.h (why that copy is good), client/backup.h (the program).
#pragma once

#include "backend/command.h"
#include "backend/container_help.h"
#include "backend/keyspace.h"

namespace warren {

Status BackupBeginCommand(Session& session, Args args);
Status BackupEndCommand(Session& session, Args args);
Status BackupLogCommand(Session& session, Args args);
Status BackupPagesCommand(Session& session, Args args);
Status BackupStopCommand(Session& session, Args args);

inline constexpr CommandInfo kBackupCommands[] = {
    {.name = "backup",
     .arity = -2,
     .group = "server",
     .syntax = "BACKUP subcommand [argument ...]",
     .summary = "copies the store while others write; `warren backup` does it all",
     .since = "warren 0.1",
     .complexity = "depends on the sub-command"},
    {.name = "backup|begin",
     .arity = 2,
     .flags = kAdmin | kDangerous | kNoScript | kNoMulti,
     .group = "server",
     .syntax = "BACKUP BEGIN",
     .summary = "makes a checkpoint and keeps the log from there on until BACKUP END or the "
                "connection's end; returns where the backup begins and what there is to copy",
     .since = "warren 0.1",
     .complexity = "O(N), N being the number of dirty pages",
     .handler = RunCommand<BackupBeginCommand>,
     .not_in_transaction = "it waits for other processes while locks are held"},
    {.name = "backup|end",
     .arity = 2,
     .flags = kAdmin | kDangerous | kFast | kNoScript | kNoMulti,
     .group = "server",
     .syntax = "BACKUP END",
     .summary = "ends the backup of this connection: the log may go",
     .since = "warren 0.1",
     .complexity = "O(1)",
     .handler = RunCommand<BackupEndCommand>,
     .not_in_transaction = "a backup is of the whole server"},
    {.name = "backup|help",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "BACKUP HELP",
     .summary = "says what the sub-commands are",
     .since = "warren 0.1",
     .complexity = "O(1)",
     .handler = RunCommand<ContainerHelpCommand>},
    {.name = "backup|log",
     .arity = 3,
     .flags = kAdmin | kDangerous | kNoScript | kNoMulti,
     .group = "server",
     .syntax = "BACKUP LOG position",
     .summary =
         "returns up to 1 MiB of the log from there, to the end of the log file or the stop; "
         "nothing at the stop",
     .since = "warren 0.1",
     .complexity = "O(N), N being the number of bytes",
     .handler = RunCommand<BackupLogCommand>,
     .not_in_transaction = "a backup is of the whole server"},
    {.name = "backup|pages",
     .arity = 4,
     .flags = kAdmin | kDangerous | kNoScript | kNoMulti,
     .group = "server",
     .syntax = "BACKUP PAGES first count",
     .summary = "returns up to 128 pages of the data file, fewer at its end, and the numbers of "
                "those whose checksum does not fit",
     .since = "warren 0.1",
     .complexity = "O(N), N being the number of pages",
     .handler = RunCommand<BackupPagesCommand>,
     .not_in_transaction = "a backup is of the whole server"},
    {.name = "backup|stop",
     .arity = 2,
     .flags = kAdmin | kDangerous | kNoScript | kNoMulti,
     .group = "server",
     .syntax = "BACKUP STOP",
     .summary = "returns up to where the copied pages need the log, which is durable up to there",
     .since = "warren 0.1",
     .complexity = "O(1)",
     .handler = RunCommand<BackupStopCommand>,
     .not_in_transaction = "it waits for other processes while locks are held"},
};

}  // namespace warren
