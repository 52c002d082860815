// SPDX-License-Identifier: Apache-2.0

// Package conformance checks what containerd expects of a snapshotter beyond containerd's own suite of
// 1.6.20: later checks of that suite, the status codes, the limits. It talks to the socket alone, so it
// holds for every backend.
//
// CONFORMANCE_SERVE names a program that is started as "PROGRAM ROOT" and serves on ROOT/s.sock until
// SIGTERM; CONFORMANCE_ROOT is a folder for it.
package conformance

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/mount"
	"github.com/containerd/containerd/pkg/dialer"
	"github.com/containerd/containerd/snapshots"
	"github.com/containerd/containerd/snapshots/proxy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type server struct {
	root    string
	process *exec.Cmd
	conn    *grpc.ClientConn
	snapshots.Snapshotter
	raw  snapshotsapi.SnapshotsClient
	diff diffapi.DiffClient
}

var (
	shared *server
	number uint64
	ctx    = context.Background()
)

func (s *server) start() error {
	log, err := os.OpenFile(filepath.Join(s.root, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = exec.Command(os.Getenv("CONFORMANCE_SERVE"), s.root)
	s.process.Stdout, s.process.Stderr = log, log
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	s.conn, err = grpc.DialContext(ready, dialer.DialAddress(filepath.Join(s.root, "s.sock")),
		grpc.WithInsecure(), grpc.WithBlock(), grpc.WithContextDialer(dialer.ContextDialer),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20), grpc.MaxCallSendMsgSize(32<<20)))
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	s.raw = snapshotsapi.NewSnapshotsClient(s.conn)
	s.diff = diffapi.NewDiffClient(s.conn)
	s.Snapshotter = proxy.NewSnapshotter(s.raw, "cowsnap")
	return nil
}

// stop ends the server by that signal and tells how it left.
func (s *server) stop(signal syscall.Signal) error {
	s.conn.Close()
	if err := s.process.Process.Signal(signal); err != nil {
		return err
	}
	return s.process.Wait()
}

func TestMain(m *testing.M) {
	flag.Parse()
	syscall.Umask(0)
	shared = &server{root: os.Getenv("CONFORMANCE_ROOT")}
	if err := shared.start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	if err := shared.stop(syscall.SIGTERM); err != nil {
		fmt.Fprintln(os.Stderr, "the server left with", err, "after SIGTERM")
		status = 1
	}
	os.Exit(status)
}

// key makes a key that no other check uses.
func key(t *testing.T, name string) string {
	t.Helper()
	return fmt.Sprintf("%s/%d/%s", t.Name(), atomic.AddUint64(&number, 1), name)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mounted runs a function on the mounted snapshot.
func mounted(t *testing.T, mounts []mount.Mount, f func(root string)) {
	t.Helper()
	root := t.TempDir()
	must(t, mount.All(mounts, root))
	defer func() { must(t, mount.UnmountAll(root, 0)) }()
	f(root)
}

func prepare(t *testing.T, key, parent string, opts ...snapshots.Opt) []mount.Mount {
	t.Helper()
	mounts, err := shared.Prepare(ctx, key, parent, opts...)
	must(t, err)
	return mounts
}

// commit fills a new snapshot by a function, commits it, and returns its name.
func commit(t *testing.T, name, parent string, fill func(root string)) string {
	t.Helper()
	active, committed := key(t, name+"-active"), key(t, name)
	mounted(t, prepare(t, active, parent), fill)
	must(t, shared.Commit(ctx, committed, active))
	return committed
}

// viewed runs a function on a view of the snapshot.
func viewed(t *testing.T, parent string, f func(root string)) {
	t.Helper()
	view := key(t, "view")
	mounts, err := shared.View(ctx, view, parent)
	must(t, err)
	mounted(t, mounts, f)
	must(t, shared.Remove(ctx, view))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

func want(t *testing.T, path, text string) {
	t.Helper()
	got, err := os.ReadFile(path)
	must(t, err)
	if string(got) != text {
		t.Fatalf("%s holds %q, not %q", path, got, text)
	}
}

func wantMissing(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Fatalf("%s is there: %v", path, err)
	}
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	must(t, err)
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

func cleanup() error {
	_, err := shared.raw.Cleanup(ctx, &snapshotsapi.CleanupRequest{Snapshotter: "cowsnap"})
	return err
}

// wantStatus checks code and ending: clients trim ": not found" and the like.
func wantStatus(t *testing.T, err error, code codes.Code, words ...string) {
	t.Helper()
	endings := map[codes.Code]string{
		codes.NotFound:           ": not found",
		codes.AlreadyExists:      ": already exists",
		codes.InvalidArgument:    ": invalid argument",
		codes.FailedPrecondition: ": failed precondition",
	}
	answer := status.Convert(err)
	if err == nil || answer.Code() != code {
		t.Fatalf("expected %v, got %v", code, err)
	}
	if !strings.HasSuffix(answer.Message(), endings[code]) {
		t.Fatalf("%q does not end in %q", answer.Message(), endings[code])
	}
	for _, word := range words {
		if !strings.Contains(answer.Message(), word) {
			t.Fatalf("%q does not name %q", answer.Message(), word)
		}
	}
}
