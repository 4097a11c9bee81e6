#!/usr/bin/env python3
"""What source_rules.py is there to find, it finds; and docs/README.md says of the metaserver's folders what it checks.

  tests/tidy/source_rules_test.py
"""
import os
import re
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import source_rules


def findings(files):
    """By rule, in a tree of these files."""
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            os.makedirs(os.path.join(root, os.path.dirname(name)), exist_ok=True)
            with open(os.path.join(root, name), "w", encoding="utf-8") as f:
                f.write(text)
        return source_rules.check(root)


def including(*headers):
    return "// Something.\n#pragma once\n" + "".join(f'#include "{h}"\n' for h in headers)


class SourceRules(unittest.TestCase):
    def test_what_may_be_included_is_no_finding(self):
        found = findings({"metaserver/ops/a.h": including("metaserver/executor/b.h", "rpc/c.h", "metaserver/ops/d.h"),
                          "metaserver/a.cc": including("metaserver/hosting/b.h", "metaserver/options.h"),
                          "metaserver/CMakeLists.txt": "add_library(m a.cc)"})
        self.assertEqual([], sum(found.values(), []))

    def test_a_part_above(self):
        found = findings({"rpc/a.cc": including("metaserver/base/b.h")})["layers"]
        self.assertEqual(["rpc/a.cc: includes metaserver/base/b.h, and rpc is below metaserver or beside it"], found)

    def test_a_folder_of_the_metaserver_above(self):
        found = findings({"metaserver/executor/a.cc": including("metaserver/ops/b.h")})["layers"]
        self.assertEqual(["metaserver/executor/a.cc: includes metaserver/ops/b.h, and in the metaserver executor is below "
                          "ops or beside it"], found)

    def test_a_folder_of_the_metaserver_that_includes_its_root(self):
        found = findings({"metaserver/store/a.h": including("metaserver/options.h")})["layers"]
        self.assertEqual(1, len(found), found)

    def test_a_folder_of_the_metaserver_that_the_table_lacks(self):
        found = findings({"metaserver/cellar/a.h": including("metaserver/store/b.h")})["layers"]
        self.assertEqual(["metaserver/cellar/a.h: includes metaserver/store/b.h, and METASERVER_MAY_INCLUDE does not say "
                          "what cellar may include"], found)

    def test_a_record_of_an_inode_that_passes_no_gate(self):
        text = '// Something.\nvoid F(Volume& v) {\n  v.store.db().Put(ChunkKey(ino, 1), "");\n  store_.db().Delete(\n      InodeKey(ino));\n}\n'
        files = {"metaserver/chunks/a.h": including() + text, "metaserver/store/a.h": including() + text}
        found = findings(files)["gate"]
        self.assertEqual(2, len(found), found)
        self.assertTrue(found[0].startswith("metaserver/chunks/a.h:5: db().Put(ChunkKey("), found)

    def test_a_record_of_something_else(self):
        text = '// Something.\nvoid F(Db& db) { db.Put(MutationKey(chunk, to), ""); db.Get(ChunkKey(ino, 1)); }\n'
        self.assertEqual([], findings({"metaserver/chunks/a.h": including() + text})["gate"])

    def test_headers_in_a_circle(self):
        found = findings({"rpc/a.h": including("rpc/b.h"), "rpc/b.h": including("rpc/a.h")})["cycles"]
        self.assertEqual(["rpc/a.h -> rpc/b.h -> rpc/a.h"], found)

    def test_folders_in_a_circle(self):
        table = {**source_rules.METASERVER_MAY_INCLUDE, "store": {"chunks"}}
        with mock.patch.object(source_rules, "METASERVER_MAY_INCLUDE", table):
            self.assertEqual(["chunks -> store -> chunks"], findings({})["cycles"])

    def test_who_asks_the_machine_by_himself(self):
        asks = {"clock": "auto now = std::chrono::steady_clock::now();", "boot": "clock_gettime(CLOCK_BOOTTIME, &ts);",
                "lot": "std::random_device lot;", "bytes": "RAND_bytes(to, size);", "thread": "std::thread thread(work);",
                "loop": 'LoopThread thread("x");', "wait": "std::this_thread::sleep_for(pause);",
                "socket": "const int fd = ::socket(AF_INET, SOCK_STREAM, 0);", "tree": "std::filesystem::remove_all(path);",
                "stream": "std::ifstream in(path);", "file": "int fd = open(path.c_str(), O_RDONLY);",
                "stdio": 'FILE* f = std::fopen(path, "r");', "room": "if (statvfs(path, &st) != 0) return;",
                "gone": "::unlink(path.c_str());"}
        for name, line in asks.items():
            for part in ("common", "rpc", "client", "metaserver/store", "chunkserver"):
                with self.subTest(name, part=part):
                    found = findings({f"{part}/an_{name}.h": f"// Something.\n#pragma once\ninline void F() {{\n  {line}\n}}\n"})
                    self.assertEqual(1, len(found["machine"]), found)
                    self.assertIn(f"{part}/an_{name}.h:4: asks the machine for ", found["machine"][0])

    def test_what_asks_nobody_or_a_program_is_no_finding(self):
        text = ("// It calls open(2), and std::thread is not for it.\n#pragma once\n"
                'inline void F() { files.Open(path, 0); chunk.open(); request.open(1); log("open(x)"); bool open(); }\n')
        asks = "// A program.\n#pragma once\ninline int F() { return open(path, 0); }\n"
        found = findings({"metaserver/store/a.h": text, "fuse/a.h": asks, "cli/a.h": asks, "client/bench/a.h": asks,
                          "tests/a.h": asks, "metaserver/main.cc": asks})["machine"]
        self.assertEqual([], found)

    def test_who_may_ask_the_machine_does_or_leaves_the_list(self):
        asks, none = "int F() { return open(path, 0); }\n", "int F() { return 0; }\n"
        self.assertEqual([], findings({"common/file_ops.cc": asks})["machine"])
        self.assertEqual(["common/file_ops.cc: asks the machine for nothing any more: take it off the list"],
                         findings({"common/file_ops.cc": none})["machine"])
        for name, reason in source_rules.MACHINE_MAY.items():
            self.assertTrue(reason, name)
            self.assertTrue(os.path.isfile(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..", name)), name)

    def test_a_source_that_nobody_builds(self):
        found = findings({"tests/posix/CMakeLists.txt": "add_executable(t a_test.cc)", "tests/posix/a_test.cc": "",
                          "tests/posix/b_test.cc": "", "tests/fuzz/CMakeLists.txt": "kfs_fuzzer(a LIBS rpc)",
                          "tests/fuzz/fuzz_a.cc": "", "tests/fuzz/fuzz_b.cc": "",
                          "rpc/CMakeLists.txt": "add_library(r in/a.cc)", "rpc/in/a.cc": "", "rpc/a.cc": ""})["built"]
        self.assertEqual([f"{name}: no CMakeLists.txt names it"
                          for name in ("rpc/a.cc", "tests/fuzz/fuzz_b.cc", "tests/posix/b_test.cc")], found)

    def test_the_document_says_the_same_of_the_metaservers_folders(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/README.md"), encoding="utf-8") as f:
            rows = re.findall(r"^\| (the root|`.*?) \| .* \| (.*?) \| .*? \|$", f.read().split("| library |", 1)[1], re.M)
        said = {folder: set(re.findall(r"`(\w+)/`", may))
                for folders, may in rows for folder in re.findall(r"`(\w+)/`", folders) or ["."]}
        self.assertEqual(source_rules.METASERVER_MAY_INCLUDE, said)


if __name__ == "__main__":
    unittest.main()
