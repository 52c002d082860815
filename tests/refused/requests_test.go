// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"strings"
	"testing"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	protobuf "github.com/gogo/protobuf/types"
	"google.golang.org/grpc/codes"
)

// Over the wire: containerd's proxy client would turn statuses into its own errors.
func stat(key string) error {
	_, err := shared.raw.Stat(ctx, &snapshotsapi.StatSnapshotRequest{Key: key})
	return err
}

func commitRaw(name, key string) error {
	_, err := shared.raw.Commit(ctx, &snapshotsapi.CommitSnapshotRequest{Name: name, Key: key})
	return err
}

// Every call that takes a key, given that key.
func callsWithKey(parent, active string) map[string]func(key string) error {
	raw := shared.raw
	return map[string]func(key string) error{
		"Prepare": func(key string) error {
			_, err := raw.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Key: key, Parent: parent})
			return err
		},
		"View": func(key string) error {
			_, err := raw.View(ctx, &snapshotsapi.ViewSnapshotRequest{Key: key, Parent: parent})
			return err
		},
		"Commit to": func(key string) error { return commitRaw(key, active) },
		"Commit of": func(key string) error { return commitRaw(active+"-committed", key) },
		"Prepare on": func(key string) error {
			_, err := raw.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Key: active + "-child", Parent: key})
			return err
		},
		"View on": func(key string) error {
			_, err := raw.View(ctx, &snapshotsapi.ViewSnapshotRequest{Key: active + "-view", Parent: key})
			return err
		},
		"Mounts": func(key string) error {
			_, err := raw.Mounts(ctx, &snapshotsapi.MountsRequest{Key: key})
			return err
		},
		"Stat": stat,
		"Usage": func(key string) error {
			_, err := raw.Usage(ctx, &snapshotsapi.UsageRequest{Key: key})
			return err
		},
		"Update": func(key string) error {
			_, err := raw.Update(ctx, &snapshotsapi.UpdateSnapshotRequest{Info: snapshotsapi.Info{Name: key}})
			return err
		},
		"Remove": func(key string) error {
			_, err := raw.Remove(ctx, &snapshotsapi.RemoveSnapshotRequest{Key: key})
			return err
		},
	}
}

// A key that cannot be is INVALID_ARGUMENT where it would be given to a snapshot; where one is looked for,
// there is none of that name.
func TestKeys(t *testing.T) {
	parent := commit(t, "parent", "", func(string) {})
	active := key(t, "active")
	prepare(t, active, parent)
	long := strings.Repeat("k", 64<<10)
	for what, call := range callsWithKey(parent, active) {
		t.Run(what, func(t *testing.T) {
			leavesNoTrace(t, func() {
				switch what {
				case "Prepare", "View", "Commit to":
					if what == "Commit to" {
						wantStatus(t, call(""), codes.InvalidArgument, "0 bytes")
					} else {
						wantStatus(t, call(""), codes.InvalidArgument, "empty")
					}
					wantStatus(t, call(long), codes.InvalidArgument, "kkkk", "65536")
				case "Prepare on", "View on":
					// no parent at all is what an empty one means
					wantStatus(t, call(long), codes.NotFound, "kkkk", "parent")
				default:
					wantStatus(t, call(""), codes.NotFound, "snapshot")
					wantStatus(t, call(long), codes.NotFound, "kkkk")
				}
			})
		})
	}
	must(t, shared.Remove(ctx, active))
	must(t, shared.Remove(ctx, parent))
}

func TestUnknownKeys(t *testing.T) {
	parent := commit(t, "parent", "", func(string) {})
	active := key(t, "active")
	prepare(t, active, parent)
	unknown := key(t, "unknown")
	for what, call := range callsWithKey(parent, active) {
		if what == "Prepare" || what == "View" || what == "Commit to" {
			continue
		}
		t.Run(what, func(t *testing.T) {
			leavesNoTrace(t, func() { wantStatus(t, call(unknown), codes.NotFound, unknown) })
		})
	}
	must(t, shared.Remove(ctx, active))
	must(t, shared.Remove(ctx, parent))
}

// callsWithLabels are those that store labels, or that one of them: of a new snapshot, or of the active one.
func callsWithLabels(active string, labels map[string]string, one string) map[string]func() error {
	raw := shared.raw
	return map[string]func() error{
		"Prepare": func() error {
			_, err := raw.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{Key: active + "-new", Labels: labels})
			return err
		},
		"View": func() error {
			_, err := raw.View(ctx, &snapshotsapi.ViewSnapshotRequest{Key: active + "-new", Labels: labels})
			return err
		},
		"Commit": func() error {
			_, err := raw.Commit(ctx, &snapshotsapi.CommitSnapshotRequest{Name: active + "-new", Key: active, Labels: labels})
			return err
		},
		"Update": func() error {
			_, err := raw.Update(ctx, &snapshotsapi.UpdateSnapshotRequest{Info: snapshotsapi.Info{Name: active, Labels: labels}})
			return err
		},
		"Update of one": func() error {
			_, err := raw.Update(ctx, &snapshotsapi.UpdateSnapshotRequest{Info: snapshotsapi.Info{Name: active, Labels: labels},
				UpdateMask: &protobuf.FieldMask{Paths: []string{"labels." + one}}})
			return err
		},
	}
}

// protobuf's strings are UTF-8: a List with another in it could not be read any more, and nothing be collected.
func TestTextThatIsNoUTF8(t *testing.T) {
	active := key(t, "active")
	prepare(t, active, "")
	refused := func(what string, call func() error) {
		t.Run(what, func(t *testing.T) {
			leavesNoTrace(t, func() { wantStatus(t, call(), codes.InvalidArgument, "is no UTF-8") })
		})
	}
	given := callsWithKey("", active)
	for _, what := range []string{"Prepare", "View", "Commit to"} {
		refused("key of "+what, func() error { return given[what](active + "\xff") })
	}
	for what, call := range callsWithLabels(active, map[string]string{"good": "x", "bad": "\xff"}, "bad") {
		refused("label of "+what, call)
	}
	must(t, shared.Remove(ctx, active))
}

func TestLabelsTooLarge(t *testing.T) {
	active := key(t, "active")
	prepare(t, active, "")
	labels := map[string]string{"good": "x", "containerd.io/snapshot/large": strings.Repeat("v", 4096)}
	for what, call := range callsWithLabels(active, labels, "containerd.io/snapshot/large") {
		t.Run(what, func(t *testing.T) {
			leavesNoTrace(t, func() {
				wantStatus(t, call(), codes.InvalidArgument, "containerd.io/snapshot/large", "4096")
			})
			info, err := shared.Stat(ctx, active)
			must(t, err)
			if len(info.Labels) != 0 {
				t.Fatalf("the snapshot has labels now: %v", info.Labels)
			}
			wantStatus(t, stat(active+"-new"), codes.NotFound, active)
		})
	}
	must(t, shared.Remove(ctx, active))
}
