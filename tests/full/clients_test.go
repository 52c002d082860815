// SPDX-License-Identifier: Apache-2.0

// Clients that go on calling while a disk becomes full, is full, and has room again. Each remembers what it was
// answered.
package conformance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/snapshots"
	"github.com/opencontainers/go-digest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	patience = 2 * time.Minute // that any call may take; a machine may be busy with other things
	many     = 8               // clients
	keeps    = 12              // layers that a client keeps at most
)

// crowd is all clients of one case, and what they may be answered now.
type crowd struct {
	t       *testing.T
	turn    sync.RWMutex // held for reading during a cycle
	refuses *regexp.Regexp
	says    *regexp.Regexp // what one refusal, at least, must say
	said    int64          // how many did
	full    atomic.Value   // bool: calls may be refused for want of room
	ended   chan struct{}
	group   sync.WaitGroup
	clients []*client
	layer   digest.Digest
	base    string
}

type client struct {
	number                 int
	crowd                  *crowd
	kept                   map[string]bool // committed, as it was answered
	cycles, calls, refused int64
	slowest                time.Duration
	slowestOf              string
}

// call makes one call. It must be answered, OK or, when it adds something and there is no room, with a word of that.
func (c *client) call(what string, adds bool, f func(ctx context.Context) error) (done bool) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	start := time.Now()
	err := f(limited)
	if took := time.Since(start); took > c.slowest {
		c.slowest, c.slowestOf = took, what
	}
	atomic.AddInt64(&c.calls, 1)
	if err == nil {
		return true
	}
	answer := status.Convert(err)
	if adds && c.crowd.full.Load().(bool) && answer.Code() == codes.ResourceExhausted && c.crowd.refuses.MatchString(answer.Message()) {
		atomic.AddInt64(&c.refused, 1)
		if c.crowd.says.MatchString(answer.Message()) {
			atomic.AddInt64(&c.crowd.said, 1)
		}
		return false
	}
	c.crowd.t.Errorf("client %d: %s (full: %v) is answered %v: %s", c.number, what, c.crowd.full.Load(), answer.Code(), answer.Message())
	return false
}

// cycle is a layer that is pulled, a view of it, and what people ask.
func (c *client) cycle() {
	round := atomic.LoadInt64(&c.cycles)
	active := fmt.Sprintf("client/%d/%d", c.number, round)
	name, last := active+"/layer", active
	var mounts []*types.Mount
	c.reads(round)
	if !c.call("Prepare", true, func(ctx context.Context) error {
		reply, err := shared.raw.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Key: active, Parent: c.crowd.base})
		if err == nil {
			mounts = reply.Mounts
		}
		return err
	}) {
		return
	}
	c.call("Mounts", false, func(ctx context.Context) error {
		_, err := shared.raw.Mounts(ctx, &snapshotsapi.MountsRequest{Key: active})
		return err
	})
	c.call("Usage", false, func(ctx context.Context) error {
		_, err := shared.raw.Usage(ctx, &snapshotsapi.UsageRequest{Key: active})
		return err
	})
	applied := c.call("Apply", true, func(ctx context.Context) error {
		_, err := shared.diff.Apply(ctx, &diffapi.ApplyRequest{Mounts: mounts,
			Diff: &types.Descriptor{MediaType: plain, Digest: c.crowd.layer}})
		return err
	})
	if applied && c.call("Commit", true, func(ctx context.Context) error {
		_, err := shared.raw.Commit(ctx, &snapshotsapi.CommitSnapshotRequest{Name: name, Key: active})
		return err
	}) {
		last = name
		if c.call("View", true, func(ctx context.Context) error {
			_, err := shared.raw.View(ctx, &snapshotsapi.ViewSnapshotRequest{Key: active + "/view", Parent: name})
			return err
		}) {
			c.remove(active + "/view")
		}
		if round%3 == 0 && len(c.kept) < keeps {
			c.kept[name] = true
			return
		}
	}
	c.remove(last)
}

func (c *client) remove(key string) {
	c.call("Remove", false, func(ctx context.Context) error {
		_, err := shared.raw.Remove(ctx, &snapshotsapi.RemoveSnapshotRequest{Key: key})
		return err
	})
}

// reads is what only looks, of snapshots that stay.
func (c *client) reads(round int64) {
	base := c.crowd.base
	c.call("Stat", false, func(ctx context.Context) error {
		_, err := shared.raw.Stat(ctx, &snapshotsapi.StatSnapshotRequest{Key: base})
		return err
	})
	c.call("Usage of a layer", false, func(ctx context.Context) error {
		_, err := shared.raw.Usage(ctx, &snapshotsapi.UsageRequest{Key: base})
		return err
	})
	c.call("Mounts of a view", false, func(ctx context.Context) error {
		_, err := shared.raw.Mounts(ctx, &snapshotsapi.MountsRequest{Key: "look"})
		return err
	})
	if round%4 == 0 {
		c.call("List", false, func(ctx context.Context) error {
			return shared.Walk(ctx, func(context.Context, snapshots.Info) error { return nil })
		})
	}
	if round%8 == 5 {
		c.call("Cleanup", true, func(context.Context) error { return cleanup() })
	}
}

func (c *client) run() {
	defer c.crowd.group.Done()
	for {
		select {
		case <-c.crowd.ended:
			return
		default:
		}
		c.crowd.turn.RLock()
		if !c.crowd.t.Failed() {
			c.cycle()
		}
		c.crowd.turn.RUnlock()
		atomic.AddInt64(&c.cycles, 1)
	}
}

// gather lets the clients begin. REFUSES is what a refusal must say, SAYS what one of them must.
func gather(t *testing.T, base string, layer digest.Digest, refuses, says string) *crowd {
	all := &crowd{t: t, base: base, layer: layer, refuses: regexp.MustCompile(refuses), says: regexp.MustCompile(says),
		ended: make(chan struct{})}
	all.full.Store(false)
	for i := 0; i < many; i++ {
		c := &client{number: i, crowd: all, kept: map[string]bool{}}
		all.clients = append(all.clients, c)
		all.group.Add(1)
		go c.run()
	}
	return all
}

// disperse ends them, once each is through.
func (all *crowd) disperse() {
	close(all.ended)
	all.group.Wait()
}

// alone runs f while no client is in a cycle.
func (all *crowd) alone(f func()) {
	all.turn.Lock()
	defer all.turn.Unlock()
	f()
}

// waitFor is for what comes by itself.
func waitFor(t *testing.T, what string, come func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !come(); time.Sleep(10 * time.Millisecond) {
		if t.Failed() || time.Now().After(deadline) {
			t.Fatalf("%s: it does not come to this", what)
		}
	}
}

// goOn waits until each client has made so many cycles more.
func (all *crowd) goOn(cycles int64) {
	all.t.Helper()
	for _, c := range all.clients {
		until := atomic.LoadInt64(&c.cycles) + cycles
		waitFor(all.t, fmt.Sprintf("%d more cycles of client %d", cycles, c.number), func() bool { return atomic.LoadInt64(&c.cycles) >= until })
	}
}

func (all *crowd) refused() (count int64) {
	for _, c := range all.clients {
		count += atomic.LoadInt64(&c.refused)
	}
	return count
}

// tell is the line that run.sh counts.
func (all *crowd) tell(what string) {
	var calls int64
	slowest := all.clients[0]
	for _, c := range all.clients {
		calls += c.calls
		if c.slowest > slowest.slowest {
			slowest = c
		}
	}
	all.t.Logf("full: %s: %d calls, %d of them refused; the slowest (%s) took %d ms", what, calls, all.refused(),
		slowest.slowestOf, slowest.slowest.Milliseconds())
}

// whole compares all that is there with what was answered: the clients' layers, and the given snapshots besides.
func (all *crowd) whole(besides ...string) {
	t := all.t
	t.Helper()
	expected := map[string]bool{}
	for _, name := range besides {
		expected[name] = true
	}
	for _, c := range all.clients {
		for name := range c.kept {
			expected[name] = true
			viewed(t, name, func(root string) { same(t, filepath.Join(root, "some/file"), layerText) })
		}
	}
	must(t, shared.Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		if !expected[info.Name] {
			t.Errorf("%s is there, and nobody was told so", info.Name)
		}
		delete(expected, info.Name)
		return nil
	}))
	for name := range expected {
		t.Errorf("%s is not there, and was answered", name)
	}
}

var layerText = strings.Repeat("x", 64<<10)

// same compares a file whose text is too long to be shown.
func same(t *testing.T, path, text string) {
	t.Helper()
	got, err := os.ReadFile(path)
	must(t, err)
	if string(got) != text {
		t.Errorf("%s has other bytes", path)
	}
}

func environment(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set", name)
	}
	return value
}
