// SPDX-License-Identifier: Apache-2.0

// Package suite runs containerd's own snapshotter suite against a server on a socket.
//
// Every check gets a server of its own, for the checks use the same keys and look at all there is.
// SUITE_SERVE names a program that is started as "PROGRAM ROOT" and serves on ROOT/s.sock until SIGTERM;
// SUITE_SNAPSHOTTER is the snapshotter's name in the requests.
package suite

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/pkg/dialer"
	"github.com/containerd/containerd/snapshots"
	"github.com/containerd/containerd/snapshots/proxy"
	"github.com/containerd/containerd/snapshots/testsuite"
	"google.golang.org/grpc"
)

func serve(ctx context.Context, root string) (snapshots.Snapshotter, func() error, error) {
	server := exec.Command(os.Getenv("SUITE_SERVE"), root)
	log, err := os.Create(filepath.Join(os.Getenv("SUITE_LOGS"), filepath.Base(filepath.Dir(root))+".log"))
	if err != nil {
		return nil, nil, err
	}
	server.Stdout, server.Stderr = log, log
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		return nil, nil, err
	}
	stop := func() error {
		defer log.Close()
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		if err := server.Wait(); err != nil {
			return fmt.Errorf("the server left with %w after SIGTERM", err)
		}
		// An embedded pool stays mounted by design; the suite's folder is about to go.
		_ = syscall.Unmount(filepath.Join(root, "pool"), 0)
		endDevices(root)
		return nil
	}
	ready, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	conn, err := grpc.DialContext(ready, dialer.DialAddress(filepath.Join(root, "s.sock")),
		grpc.WithInsecure(), grpc.WithBlock(), grpc.WithContextDialer(dialer.ContextDialer))
	if err != nil {
		_ = stop()
		return nil, nil, fmt.Errorf("the server does not answer: %w", err)
	}
	client := proxy.NewSnapshotter(snapshotsapi.NewSnapshotsClient(conn), os.Getenv("SUITE_SNAPSHOTTER"))
	return client, func() error { _ = conn.Close(); return stop() }, nil
}

// endDevices ends what an embedded thin pool leaves active by design, volumes before the pool.
func endDevices(root string) {
	name, err := os.ReadFile(filepath.Join(root, "thin-pool", "name"))
	if err != nil {
		return
	}
	pool := strings.TrimSpace(string(name))
	nodes, _ := filepath.Glob("/dev/mapper/" + pool + "-*")
	for _, node := range append(nodes, "/dev/mapper/"+pool) {
		if out, err := exec.Command("dmsetup", "remove", filepath.Base(node)).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "the device %s stays: %s\n", node, out)
		}
	}
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}

func TestSnapshotter(t *testing.T) {
	testsuite.SnapshotterSuite(t, "s", serve)
}
