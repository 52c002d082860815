// SPDX-License-Identifier: Apache-2.0

// Load: 200 clients, each with a connection of its own, call everything at once, on a store of many
// snapshots, for a while; then one asks for more at once than may wait.
//
// LOAD_SECONDS, LOAD_SNAPSHOTS and LOAD_CLIENTS say how much, LOAD_TOOL is the tool cowsnap; the rest is as in the
// conformance suite, whose server_test.go is compiled with this file.
package conformance

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/mount"
	"github.com/containerd/containerd/pkg/dialer"
	"github.com/containerd/containerd/snapshots"
	"github.com/containerd/containerd/snapshots/proxy"
	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	patience = 2 * time.Minute // that any call may take; a machine may be busy with other things
	growth   = 16 << 10        // KiB that the daemon may grow in the second half of the load
)

func setting(t *testing.T, name string, usual int) int {
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	value, err := strconv.Atoi(text)
	must(t, err)
	return value
}

type client struct {
	number    int
	sn        snapshots.Snapshotter
	diff      diffapi.DiffClient
	chance    *rand.Rand
	base      string
	layer     digest.Digest
	size      int64
	calls     int64
	busy      int64 // calls that were answered RESOURCE_EXHAUSTED
	slowest   time.Duration
	slowestOf string
}

// again makes a call until it is not too much at once.
func (c *client) again(ctx context.Context, method string, request, reply interface{}, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	for {
		atomic.AddInt64(&c.calls, 1)
		err := invoke(ctx, method, request, reply, conn, options...)
		if status.Code(err) != codes.ResourceExhausted {
			return err
		}
		c.busy++
		time.Sleep(time.Duration(10+c.chance.Intn(100)) * time.Millisecond)
	}
}

func connect(t *testing.T, number int, base string, layer digest.Digest, size int64) *client {
	c := &client{number: number, chance: rand.New(rand.NewSource(int64(number))), base: base, layer: layer, size: size}
	ready, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := grpc.DialContext(ready, dialer.DialAddress(filepath.Join(shared.root, "s.sock")),
		grpc.WithInsecure(), grpc.WithBlock(), grpc.WithContextDialer(dialer.ContextDialer),
		grpc.WithUnaryInterceptor(c.again))
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	c.sn, c.diff = proxy.NewSnapshotter(snapshotsapi.NewSnapshotsClient(conn), "cowsnap"), diffapi.NewDiffClient(conn)
	return c
}

// call makes one call, and names it in its error.
func (c *client) call(what string, f func(ctx context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	start := time.Now()
	err := f(limited)
	if took := time.Since(start); took > c.slowest {
		c.slowest, c.slowestOf = took, what
	}
	if err != nil {
		return fmt.Errorf("client %d: %s: %w", c.number, what, err)
	}
	return nil
}

// cycle is what a container, an image's layer or somebody who looks around asks for.
func (c *client) cycle(round int) error {
	active := fmt.Sprintf("load/%d/%d", c.number, round)
	var mounts []mount.Mount
	type step struct {
		what string
		f    func(ctx context.Context) error
	}
	steps := []step{
		{"Prepare", func(ctx context.Context) (err error) { mounts, err = c.sn.Prepare(ctx, active, c.base); return }},
		{"Stat", func(ctx context.Context) error { _, err := c.sn.Stat(ctx, active); return err }},
		{"Mounts", func(ctx context.Context) error { _, err := c.sn.Mounts(ctx, active); return err }},
		{"Usage", func(ctx context.Context) error { _, err := c.sn.Usage(ctx, active); return err }},
	}
	last := active
	switch c.chance.Intn(8) {
	case 0, 1: // a layer
		last = active + "/committed"
		steps = append(steps,
			step{"Apply", func(ctx context.Context) error {
				_, err := c.diff.Apply(ctx, &diffapi.ApplyRequest{Mounts: wire(mounts),
					Diff: &types.Descriptor{MediaType: plain, Digest: c.layer, Size_: c.size}})
				return err
			}},
			step{"Commit", func(ctx context.Context) error { return c.sn.Commit(ctx, last, active) }},
			step{"View", func(ctx context.Context) error { _, err := c.sn.View(ctx, active+"/view", last); return err }},
			step{"Remove of a view", func(ctx context.Context) error { return c.sn.Remove(ctx, active+"/view") }})
	case 2: // one that a container wrote into is committed without an Apply
		last = active + "/committed"
		steps = append(steps, step{"Commit", func(ctx context.Context) error { return c.sn.Commit(ctx, last, active) }})
	case 3, 4:
		steps = append(steps, step{"Update", func(ctx context.Context) error {
			_, err := c.sn.Update(ctx, snapshots.Info{Name: active, Labels: map[string]string{"round": "some"}}, "labels.round")
			return err
		}})
	case 5:
		if c.chance.Intn(4) == 0 {
			steps = append(steps, step{"List", func(ctx context.Context) error {
				return c.sn.Walk(ctx, func(context.Context, snapshots.Info) error { return nil }, "kind==committed")
			}})
		}
	case 6:
		if c.chance.Intn(8) == 0 {
			steps = append(steps, step{"Cleanup", func(ctx context.Context) error {
				return c.sn.(snapshots.Cleaner).Cleanup(ctx)
			}})
		}
	}
	steps = append(steps, step{"Remove", func(ctx context.Context) error { return c.sn.Remove(ctx, last) }})
	for _, step := range steps {
		if err := c.call(step.what, step.f); err != nil {
			return err
		}
	}
	return nil
}

// together lets all clients run for a time. Each must get through at least one cycle.
func together(t *testing.T, clients []*client, first int, span time.Duration) {
	t.Helper()
	var group sync.WaitGroup
	end := time.Now().Add(span)
	for _, c := range clients {
		group.Add(1)
		go func(c *client) {
			defer group.Done()
			for round := first; round == first || time.Now().Before(end); round++ {
				if err := c.cycle(round); err != nil {
					t.Error(err)
					return
				}
			}
		}(c)
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

type figures struct{ fds, threads, kib int }

// measure tells what the daemon holds once all is quiet: what answers overtake gets the time to end.
func measure(t *testing.T, clients []*client) figures {
	t.Helper()
	must(t, clients[0].call("Cleanup", func(ctx context.Context) error { return clients[0].sn.(snapshots.Cleaner).Cleanup(ctx) }))
	process := fmt.Sprintf("/proc/%d/", shared.process.Process.Pid)
	var now figures
	for same := 0; same < 5; time.Sleep(100 * time.Millisecond) {
		before := now
		now.fds, now.threads = len(names(t, process+"fd")), len(names(t, process+"task"))
		if same++; now != before {
			same = 0
		}
	}
	text, err := os.ReadFile(process + "status")
	must(t, err)
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "VmRSS:") {
			fmt.Sscanf(line, "VmRSS: %d kB", &now.kib)
		}
	}
	return now
}

func counted(t *testing.T) (count int) {
	t.Helper()
	must(t, shared.Walk(ctx, func(context.Context, snapshots.Info) error { count++; return nil }))
	return count
}

func TestLoad(t *testing.T) {
	seconds, many, count := setting(t, "LOAD_SECONDS", 30), setting(t, "LOAD_SNAPSHOTS", 1000), setting(t, "LOAD_CLIENTS", 200)
	layer := archive(t, file("some/file"), file("some/other"))
	id := store(t, layer)
	base := commit(t, "base", "", func(root string) { write(t, filepath.Join(root, "file"), "text") })
	clients := make([]*client, count)
	for i := range clients {
		clients[i] = connect(t, i, base, id, int64(len(layer)))
	}

	var next int64
	var group sync.WaitGroup
	for _, c := range clients[:16] {
		group.Add(1)
		go func(c *client) {
			defer group.Done()
			for number := atomic.AddInt64(&next, 1); number < int64(many); number = atomic.AddInt64(&next, 1) {
				if err := c.call("Prepare", func(ctx context.Context) error {
					_, err := c.sn.Prepare(ctx, fmt.Sprintf("there/%d", number), base)
					return err
				}); err != nil {
					t.Error(err)
					return
				}
			}
		}(c)
	}
	group.Wait()
	there := counted(t)

	half := time.Duration(seconds) * time.Second / 2
	together(t, clients, 0, half)
	before := measure(t, clients)
	together(t, clients, 1<<20, half)
	after := measure(t, clients)
	grown := func() bool {
		return after.fds > before.fds+2 || after.threads > before.threads+2 || after.kib > before.kib+growth
	}
	// clones for the stock may be under way, each with a thread and a folder
	for deadline := time.Now().Add(time.Minute); grown() && time.Now().Before(deadline); {
		after = measure(t, clients)
	}
	if grown() {
		t.Errorf("the daemon grows: %+v after one half of the load, %+v after the other", before, after)
	}
	if now := counted(t); now != there {
		t.Errorf("%d snapshots are there, and %d were before the load", now, there)
	}
	if out, err := exec.Command(os.Getenv("LOAD_TOOL"), "--address", filepath.Join(shared.root, "s.sock"), "check").CombinedOutput(); err != nil {
		t.Errorf("cowsnap check: %v: %s", err, out)
	}
	var calls, busy int64
	var slowest *client = clients[0]
	for _, c := range clients {
		calls, busy = calls+c.calls, busy+c.busy
		if c.slowest > slowest.slowest {
			slowest = c
		}
	}
	t.Logf("load: %d calls of %d clients on %d snapshots in %d s, 0 unexpected errors; %d asked to come again; the slowest (%s) took %d ms; %+v then %+v",
		calls, count, there, seconds, busy, slowest.slowestOf, slowest.slowest.Milliseconds(), before, after)
}

// More calls at once than may wait: each is served or told to come again, and the daemon's memory is bounded.
func TestOverload(t *testing.T) {
	const burst, most = 12000, 96 << 10 // calls; KiB
	base := commit(t, "base", "", func(root string) {})
	answers := make(chan error, burst)
	resetPeak(t)
	before := memory(t, "VmRSS")
	for i := 0; i < burst; i++ {
		go func(i int) {
			limited, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			_, err := shared.raw.View(limited, &snapshotsapi.ViewSnapshotRequest{
				Snapshotter: "cowsnap", Key: fmt.Sprintf("burst/%d", i), Parent: base})
			answers <- err
		}(i)
	}
	served, sent := 0, 0
	for i := 0; i < burst; i++ {
		switch err := <-answers; status.Code(err) {
		case codes.OK:
			served++
		case codes.ResourceExhausted:
			sent++
		default:
			t.Fatalf("a call of the burst ends in %v", err)
		}
	}
	grown := memory(t, "VmHWM") - before
	if served == 0 || grown > most {
		t.Errorf("%d served, and the daemon grew by %d KiB", served, grown)
	}
	var left []string
	must(t, shared.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		if strings.HasPrefix(info.Name, "burst/") {
			left = append(left, info.Name)
		}
		return nil
	}))
	if len(left) != served {
		t.Errorf("%d are there of %d that were served", len(left), served)
	}
	for _, name := range append(left, base) {
		must(t, shared.Remove(ctx, name))
	}
	t.Logf("load: of %d calls at once %d were served and %d told to come again; the daemon grew by %d KiB", burst, served, sent, grown)
}
