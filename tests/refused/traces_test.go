// SPDX-License-Identifier: Apache-2.0

// Bad input: what each refused thing is answered, and that it leaves no trace.
//
// REFUSED_CORPUS is a folder that tests/corpus/odd_layers.py made; the rest is as in the conformance
// suite, whose server_test.go is compiled with these files.
package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"
)

// traces tells everything that a request could leave behind: files that the daemon holds open, threads of
// layers, mounts, files beside the store, subvolumes.
func traces(t *testing.T) string {
	t.Helper()
	process := fmt.Sprintf("/proc/%d/", shared.process.Process.Pid)
	var lines []string
	for _, name := range names(t, process+"fd") {
		// sockets come and go with gRPC's own connections, of which there is one
		if target, err := os.Readlink(process + "fd/" + name); err == nil && !strings.HasPrefix(target, "socket:") {
			lines = append(lines, "open: "+target)
		}
	}
	for _, task := range names(t, process+"task") {
		name, err := os.ReadFile(process + "task/" + task + "/comm")
		if err == nil && strings.HasPrefix(string(name), "layer-") {
			lines = append(lines, "thread: "+strings.TrimSpace(string(name)))
		}
	}
	mounts, err := os.ReadFile(process + "mountinfo")
	must(t, err)
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, filepath.Dir(shared.root)) {
			lines = append(lines, "mount: "+line)
		}
	}
	for _, folder := range []string{shared.root, os.TempDir()} {
		for _, name := range names(t, folder) {
			// the tests' own folders are in the latter
			if !strings.HasPrefix(name, "Test") {
				lines = append(lines, "file: "+filepath.Join(folder, name))
			}
		}
	}
	subvolumes, err := exec.Command("btrfs", "subvolume", "list", filepath.Join(shared.root, "pool")).Output()
	must(t, err)
	for _, line := range strings.Split(string(subvolumes), "\n") {
		if fields := strings.Fields(line); len(fields) > 0 {
			lines = append(lines, "subvolume: "+fields[len(fields)-1])
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// leavesNoTrace runs f, which removes the snapshots it makes, and looks for what is left after a Cleanup.
func leavesNoTrace(t *testing.T, f func()) {
	t.Helper()
	must(t, cleanup())
	before := traces(t)
	f()
	if t.Failed() {
		return
	}
	must(t, cleanup())
	// the answer may overtake the last thread's end, and the keeper may just be sealing something: now, or before
	var more, missing string
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		after := traces(t)
		more, missing = less(after, before), lasting(less(before, after))
		if more+missing == "" {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	t.Fatalf("what is there now and was not:\n%s\nwhat was there and is not:\n%s", more, missing)
}

// lasting is the lines of a that do not tell what the daemon was just doing.
func lasting(a string) string {
	var lines []string
	for _, line := range strings.Split(a, "\n") {
		if !strings.HasPrefix(line, "open: ") && !strings.HasPrefix(line, "thread: ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// less is the lines of a that b has not, or has fewer of.
func less(a, b string) string {
	count := map[string]int{}
	for _, line := range strings.Split(b, "\n") {
		count[line]++
	}
	var lines []string
	for _, line := range strings.Split(a, "\n") {
		if count[line]--; count[line] < 0 {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// memory is the daemon's resident memory in KiB: "VmRSS" now, "VmHWM" the most since resetPeak.
func memory(t *testing.T, field string) (kib int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", shared.process.Process.Pid))
	must(t, err)
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, field+":") {
			_, err = fmt.Sscanf(line, field+": %d kB", &kib)
			must(t, err)
		}
	}
	if kib == 0 {
		t.Fatalf("the kernel does not tell %s", field)
	}
	return kib
}

func resetPeak(t *testing.T) {
	t.Helper()
	must(t, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", shared.process.Process.Pid), []byte("5"), 0))
}
