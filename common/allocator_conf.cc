// What jemalloc reads when it starts. Few arenas, since each keeps some of what was freed; it is returned in
// the three seconds after.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "narenas:4,dirty_decay_ms:3000,muzzy_decay_ms:0";
}
