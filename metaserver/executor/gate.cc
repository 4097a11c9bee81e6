#include "metaserver/executor/gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kfs::meta {

size_t Gate::Add(Holders* kind) {
  kinds_.push_back(kind);
  return kinds_.size() - 1;
}

std::vector<Need> Gate::Conflicts(const Volume& volume, const Txn& txn, SessionId who) const {
  std::vector<Need> needs;
  for (size_t kind = 0; kind < kinds_.size(); ++kind) {
    const size_t first = needs.size();
    kinds_[kind]->Conflicts(volume, txn, who, &needs);
    for (size_t i = first; i < needs.size(); ++i) needs[i].kind = kind;
  }
  std::erase_if(needs, [who](const Need& need) { return need.holder == who; });
  return needs;
}

Status Gate::MayAsk(const std::vector<Need>& needs) const {
  for (const Need& need : needs) {
    const auto of = of_holder_.find(need.holder);
    if (of == of_holder_.end() || of->second < kAsksOfHolderMax ||
        asks_.contains(Hold(need.holder, need.ino, need.kind)))
      continue;
    return Status(
        EAGAIN, Code::kTryAgain,
        fmt::format("session {} is asked for {} things that it holds: try again", need.holder.v, of->second));
  }
  return {};
}

void Gate::Ask(const std::vector<Need>& needs, Fn then) {
  std::map<Hold, HoldMode> wanted;  // a run may have come upon the same twice
  for (const Need& need : needs) {
    HoldMode& mode = wanted.try_emplace({need.holder, need.ino, need.kind}, HoldMode::kShared).first->second;
    mode = std::max(mode, need.mode);
  }
  auto asker = std::make_shared<Asker>(Asker{.then = std::move(then)});
  asker->left += wanted.size();
  for (const auto& [hold, mode] : wanted) {
    const auto [it, fresh] = asks_.try_emplace(hold);
    if (!fresh) {
      it->second.next.push_back(asker);
      it->second.next_mode = std::max(it->second.next_mode, mode);
      continue;
    }
    ++of_holder_[std::get<SessionId>(hold)];
    it->second.askers.push_back(asker);
    Send(hold, mode);
  }
  LetGo({asker});
}

void Gate::Send(const Hold& hold, HoldMode mode) {
  const auto [holder, ino, kind] = hold;
  Question& question = asks_.at(hold);
  question.number = ++last_number_;
  question.deadline = clock_.MonoNow() + kAskMax;
  const SessionPtr session = find_(holder);
  if (session == nullptr) return Answered(hold, question.number);
  // It may come back with what it holds, or expire.
  if (session->connection() == nullptr) return;
  kinds_[kind]->Ask(session, ino, mode,
                    lifetime_.While([this, hold, number = question.number] { Answered(hold, number); }));
}

void Gate::Answered(const Hold& hold, uint64_t number) {
  const auto it = asks_.find(hold);
  if (it == asks_.end() || it->second.number != number) return;
  Question& question = it->second;
  Askers askers = std::exchange(question.askers, std::exchange(question.next, {}));
  const HoldMode mode = std::exchange(question.next_mode, HoldMode::kShared);
  if (question.askers.empty()) {
    asks_.erase(it);
    const auto of = of_holder_.find(std::get<SessionId>(hold));
    if (--of->second == 0) of_holder_.erase(of);
    return LetGo(std::move(askers));
  }
  question.number = 0;
  LetGo(std::move(askers));
  // Not if that has ended it.
  if (const auto still = asks_.find(hold); still != asks_.end() && still->second.number == 0)
    Send(hold, mode);
}

void Gate::LetGo(Askers askers) {
  for (const std::shared_ptr<Asker>& asker : askers) {
    if (--asker->left == 0) std::exchange(asker->then, {})();
  }
}

void Gate::Ended(SessionId holder) {
  of_holder_.erase(holder);
  Askers askers;
  for (auto it = asks_.lower_bound(Hold(holder, Ino(), 0));
       it != asks_.end() && std::get<SessionId>(it->first) == holder; it = asks_.erase(it)) {
    std::ranges::move(it->second.askers, std::back_inserter(askers));
    std::ranges::move(it->second.next, std::back_inserter(askers));
  }
  LetGo(std::move(askers));
}

void Gate::OnTimer() {
  const MonoTime now = clock_.MonoNow();
  std::vector<std::pair<Hold, uint64_t>> over;
  for (const auto& [hold, question] : asks_) {
    if (question.deadline < now) over.emplace_back(hold, question.number);
  }
  for (const auto& [hold, number] : over) Answered(hold, number);
}

}  // namespace kfs::meta
