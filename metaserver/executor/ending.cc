#include "metaserver/executor/ending.h"

#include "metaserver/store/keys.h"

namespace kfs::meta {

Ending::Ending(SessionPtr ended, const Volume* of)
    : session(std::move(ended)), remembered(std::move(session->remembered)) {
  if (of != nullptr) {
    volume = of->id();
    incarnation = of->incarnation();
  }
  parked.swap(session->parked);
  waiting.swap(session->waiting);
}

void Endings::Add(Ending ending) {
  ++ending.session->endings;
  endings_.push_back(std::move(ending));
  env_.Changed();
}

Volume* Endings::VolumeOf(const Ending& e) const {
  if (e.volume == VolumeId()) return nullptr;
  Volume* volume = env_.Find(e.volume);
  return volume != nullptr && volume->incarnation() == e.incarnation ? volume : nullptr;
}

// False: it is over.
bool Endings::StepOf(Ending& e) {
  size_t left = kStep;
  for (; left > 0 && !e.parked.empty(); --left) {
    const ParkedPtr parked = std::move(e.parked.extract(e.parked.begin()).value());
    const CallPtr call = std::move(parked->call);
    parked->call = nullptr;
    if (call != nullptr && !e.why.ok()) env_.Refuse(call, e.why);
  }
  for (; left > 0 && !e.waiting.empty(); --left) e.waiting.erase(e.waiting.begin());
  if (left == 0) return true;
  Volume* volume = VolumeOf(e);
  // Others wait for locks and tokens.
  if (volume != nullptr && !e.keeps_locks && volume->locks.ReleaseSome(e.session->id)) return true;
  if (volume == nullptr) {
    e.session->append_tokens.clear();
    e.replies.clear();
  }
  std::set<Ino>& tokens = e.session->append_tokens;
  for (; left > 0 && !tokens.empty(); --left) {
    const Ino ino = *tokens.begin();
    volume->appenders.End(ino, e.session.get(), /*clean=*/false);
    tokens.erase(ino);
  }
  for (; left > 0 && !e.replies.empty(); --left) {
    volume->store.db().Delete(ReplyKey(e.session->id, e.replies.begin()->first));
    volume->stored_replies.DropFirst(&e.replies);
  }
  for (; left > 0 && e.remembered.size() != 0; --left) e.remembered.DropFirst();
  return left == 0;
}

bool Endings::Step() {
  if (endings_.empty()) return false;
  Ending ending = std::move(endings_.front());
  endings_.pop_front();
  if (StepOf(ending)) {
    endings_.push_back(std::move(ending));
    return true;
  }
  --ending.session->endings;
  if (ending.done) ending.done();
  return !endings_.empty();
}

size_t Endings::parked() const {
  size_t n = 0;
  for (const Ending& e : endings_) n += e.parked.size();
  return n;
}

}  // namespace kfs::meta
