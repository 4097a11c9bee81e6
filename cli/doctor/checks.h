// Every check of `kfs doctor`, in the order in which their findings are shown: the one list.
#pragma once

#include "cli/doctor/doctor.h"

namespace kfs::cli::doctor {

Findings CheckKernel(const Surroundings& here);
Findings CheckPrograms(const Surroundings& here);
Findings CheckMounts(const Surroundings& here);
Findings CheckLimits(const Surroundings& here);
Findings CheckClocks(const Surroundings& here);
Findings CheckReach(const Surroundings& here);
Findings CheckVolume(const Surroundings& here);
Findings CheckRoom(const Surroundings& here);
Findings CheckHealth(const Surroundings& here);

constexpr Check kChecks[] = {
    {"kernel", CheckKernel}, {"programs", CheckPrograms}, {"mounts", CheckMounts},
    {"limits", CheckLimits}, {"clocks", CheckClocks},     {"reach", CheckReach},
    {"volume", CheckVolume}, {"room", CheckRoom},         {"health", CheckHealth},
};

}  // namespace kfs::cli::doctor
