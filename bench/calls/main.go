// SPDX-License-Identifier: Apache-2.0

// Calls measures the snapshot calls of a snapshotter, of containerd or of cowsnapd alone: whoever serves
// containerd's snapshots service on a socket. It makes a committed parent with many files, then lets
// clients run cycles of Prepare, Stat, Usage, Commit and Remove, or bursts of Prepare, and prints one line
// of JSON with the cycles a second and each call's latency.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	api "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/mount"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/pkg/dialer"
	"github.com/containerd/containerd/snapshots"
	"github.com/containerd/containerd/snapshots/proxy"
	"google.golang.org/grpc"
	health "google.golang.org/grpc/health/grpc_health_v1"
)

var (
	address     = flag.String("address", "", "socket of containerd or of cowsnapd")
	snapshotter = flag.String("snapshotter", "cowsnap", "which of containerd's snapshotters")
	namespace   = flag.String("namespace", "bench", "containerd's namespace")
	clients     = flag.Int("clients", 1, "clients at once")
	cycles      = flag.Int("cycles", 200, "cycles in all, after as many again by one tenth to warm up")
	files       = flag.Int("files", 5000, "files of the parent, made when it is not there")
	parent      = flag.String("parent", "", "key of the parent (default: made of -files)")
	mode        = flag.String("mode", "cycle", "cycle, calls (cycles with a call of Mounts and one of gRPC's health), looks (Stat, Mounts, Usage and health of one snapshot, again and again), burst (Prepares only, all at once), fill or list")
	pause       = flag.Duration("pause", 0, "rest before what is measured begins, for a burst")
)

// Without a root of its own, containerd's garbage collection would take a snapshot that no lease holds.
var keep = snapshots.WithLabels(map[string]string{"containerd.io/gc.root": "bench"})

type samples struct {
	lock sync.Mutex
	of   map[string][]time.Duration
}

func (s *samples) add(call string, took time.Duration) {
	s.lock.Lock()
	s.of[call] = append(s.of[call], took)
	s.lock.Unlock()
}

type latency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Most  float64 `json:"max_ms"`
}

func summary(took []time.Duration) latency {
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	at := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1)+0.5)]) / float64(time.Millisecond)
	}
	return latency{len(took), at(0.5), at(0.99), at(1)}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// makeParent commits a snapshot with that many small files, 100 in a folder.
func makeParent(ctx context.Context, sn snapshots.Snapshotter, name string, count int) {
	if _, err := sn.Stat(ctx, name); err == nil {
		return
	}
	mounts, err := sn.Prepare(ctx, name+"-active", "", keep)
	must(err)
	root, err := os.MkdirTemp("", "cowsnap-bench")
	must(err)
	must(mount.All(mounts, root))
	for i := 0; i < count; i++ {
		folder := filepath.Join(root, fmt.Sprintf("d%03d", i/100))
		if i%100 == 0 {
			must(os.Mkdir(folder, 0o755))
		}
		must(os.WriteFile(filepath.Join(folder, fmt.Sprintf("f%02d", i%100)), []byte(name), 0o644))
	}
	must(mount.UnmountAll(root, 0))
	must(os.Remove(root))
	must(sn.Commit(ctx, name, name+"-active", keep))
}

type bench struct {
	ctx    context.Context
	sn     snapshots.Snapshotter
	health health.HealthClient
	parent string
	took   *samples
	next   int64 // number of the next cycle
	run    int64
}

func (b *bench) timed(call string, f func() error) {
	start := time.Now()
	err := f()
	if err != nil {
		log.Fatalf("%s: %v", call, err)
	}
	b.took.add(call, time.Since(start))
}

// look makes the calls that only read. THOROUGH: one of Mounts, too, and one that asks for nothing.
func (b *bench) look(key string, thorough bool) {
	b.timed("stat", func() error { _, err := b.sn.Stat(b.ctx, key); return err })
	if thorough {
		b.timed("health", func() error { _, err := b.health.Check(b.ctx, &health.HealthCheckRequest{}); return err })
		b.timed("mounts", func() error { _, err := b.sn.Mounts(b.ctx, key); return err })
	}
	b.timed("usage", func() error { _, err := b.sn.Usage(b.ctx, key); return err })
}

func (b *bench) cycle(number int64) {
	active, committed := fmt.Sprintf("a-%d-%d", b.run, number), fmt.Sprintf("c-%d-%d", b.run, number)
	b.timed("prepare", func() error { _, err := b.sn.Prepare(b.ctx, active, b.parent, keep); return err })
	b.look(active, *mode == "calls")
	b.timed("commit", func() error { return b.sn.Commit(b.ctx, committed, active, keep) })
	b.timed("remove", func() error { return b.sn.Remove(b.ctx, committed) })
}

func (b *bench) prepare(number int64) {
	key := fmt.Sprintf("b-%d-%d", b.run, number)
	b.timed("prepare", func() error { _, err := b.sn.Prepare(b.ctx, key, b.parent, keep); return err })
}

// together runs STEP for each number below COUNT, by that many clients.
func (b *bench) together(clients, count int, step func(int64)) time.Duration {
	var wait sync.WaitGroup
	b.next = 0
	start := time.Now()
	for i := 0; i < clients; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				number := atomic.AddInt64(&b.next, 1) - 1
				if number >= int64(count) {
					return
				}
				step(number)
			}
		}()
	}
	wait.Wait()
	return time.Since(start)
}

func (b *bench) removeBurst(count int) {
	for i := 0; i < count; i++ {
		must(b.sn.Remove(b.ctx, fmt.Sprintf("b-%d-%d", b.run, i)))
	}
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("calls: ")
	flag.Parse()
	ctx := namespaces.WithNamespace(context.Background(), *namespace)
	conn, err := grpc.DialContext(ctx, dialer.DialAddress(*address), grpc.WithInsecure(), grpc.WithBlock(),
		grpc.WithContextDialer(dialer.ContextDialer))
	must(err)
	sn := proxy.NewSnapshotter(api.NewSnapshotsClient(conn), *snapshotter)

	name := *parent
	if name == "" && *files > 0 {
		name = fmt.Sprintf("parent-%d", *files)
		makeParent(ctx, sn, name, *files)
	}
	b := &bench{ctx: ctx, sn: sn, health: health.NewHealthClient(conn), parent: name, took: &samples{of: map[string][]time.Duration{}}, run: time.Now().UnixNano()}
	result := map[string]interface{}{"mode": *mode, "clients": *clients, "snapshotter": *snapshotter}
	var took time.Duration
	switch *mode {
	case "cycle", "calls":
		b.together(*clients, *cycles/10+1, b.cycle)
		b.run++
		b.took.of = map[string][]time.Duration{}
		took = b.together(*clients, *cycles, b.cycle)
		result["cycles_per_s"] = float64(*cycles) / took.Seconds()
	case "burst":
		b.together(*clients, *clients, b.prepare)
		b.removeBurst(*clients)
		time.Sleep(*pause)
		b.run++
		b.took.of = map[string][]time.Duration{}
		took = b.together(*clients, *clients, b.prepare)
		b.removeBurst(*clients)
	case "looks":
		key := fmt.Sprintf("l-%d", b.run)
		_, err := sn.Prepare(ctx, key, name, keep)
		must(err)
		b.together(*clients, *cycles/10+1, func(int64) { b.look(key, true) })
		b.took.of = map[string][]time.Duration{}
		took = b.together(*clients, *cycles, func(int64) { b.look(key, true) })
		must(sn.Remove(ctx, key))
	case "fill":
		took = b.together(*clients, *cycles, b.prepare)
	case "list":
		for i := 0; i < *cycles; i++ {
			count := 0
			b.timed("list", func() error {
				return sn.Walk(ctx, func(context.Context, snapshots.Info) error { count++; return nil })
			})
			result["listed"] = count
		}
	default:
		log.Fatalf("there is no mode %q", *mode)
	}
	result["seconds"] = took.Seconds()
	calls := map[string]latency{}
	for call, of := range b.took.of {
		calls[call] = summary(of)
	}
	result["calls"] = calls
	must(json.NewEncoder(os.Stdout).Encode(result))
}
