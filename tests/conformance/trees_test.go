// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRootOfAnEmptySnapshot(t *testing.T) {
	mounted(t, prepare(t, key(t, "a"), ""), func(root string) {
		status, err := os.Stat(root)
		must(t, err)
		owner := status.Sys().(*syscall.Stat_t)
		if status.Mode() != os.ModeDir|0o755 || owner.Uid != 0 || owner.Gid != 0 {
			t.Fatalf("the root is %v of %d:%d", status.Mode(), owner.Uid, owner.Gid)
		}
		if found := names(t, root); len(found) != 0 {
			t.Fatalf("the root holds %v", found)
		}
	})
}

func TestRootPermissionSurvives(t *testing.T) {
	base := commit(t, "base", "", func(root string) {
		must(t, syscall.Chmod(root, 0o1701))
		must(t, os.Chown(root, 12, 34))
	})
	mounted(t, prepare(t, key(t, "child"), base), func(root string) {
		status, err := os.Stat(root)
		must(t, err)
		owner := status.Sys().(*syscall.Stat_t)
		if owner.Mode&0o7777 != 0o1701 || owner.Uid != 12 || owner.Gid != 34 {
			t.Fatalf("the root is %o of %d:%d", owner.Mode, owner.Uid, owner.Gid)
		}
	})
}

func TestViewCannotBeWritten(t *testing.T) {
	base := commit(t, "base", "", func(root string) { write(t, filepath.Join(root, "file"), "text") })
	viewed(t, base, func(root string) {
		want(t, filepath.Join(root, "file"), "text")
		for _, name := range []string{"file", "new"} {
			if err := os.WriteFile(filepath.Join(root, name), nil, 0o644); !errors.Is(err, syscall.EROFS) {
				t.Fatalf("a write to %s in a view answers %v", name, err)
			}
		}
		if err := os.Chmod(root, 0o777); !errors.Is(err, syscall.EROFS) {
			t.Fatalf("chmod in a view answers %v", err)
		}
	})
	viewed(t, "", func(root string) {
		if err := os.WriteFile(filepath.Join(root, "new"), nil, 0o644); !errors.Is(err, syscall.EROFS) {
			t.Fatalf("a write to an empty view answers %v", err)
		}
	})
}

func TestManyViewsOfOneParent(t *testing.T) {
	base := commit(t, "base", "", func(root string) { write(t, filepath.Join(root, "file"), "text") })
	viewed(t, base, func(first string) {
		viewed(t, base, func(second string) {
			want(t, filepath.Join(first, "file"), "text")
			want(t, filepath.Join(second, "file"), "text")
		})
	})
}

func TestChildrenAreApart(t *testing.T) {
	base := commit(t, "base", "", func(root string) { write(t, filepath.Join(root, "file"), "base") })
	one, two := prepare(t, key(t, "one"), base), prepare(t, key(t, "two"), base)
	mounted(t, one, func(root string) {
		write(t, filepath.Join(root, "file"), "one")
		write(t, filepath.Join(root, "only"), "one")
	})
	mounted(t, two, func(root string) {
		want(t, filepath.Join(root, "file"), "base")
		wantMissing(t, filepath.Join(root, "only"))
	})
	viewed(t, base, func(root string) { want(t, filepath.Join(root, "file"), "base") })
}

func testLayers(t *testing.T, count int) {
	parent := ""
	var chain []string
	for i := 0; i < count; i++ {
		parent = commit(t, fmt.Sprint("layer", i), parent, func(root string) {
			write(t, filepath.Join(root, fmt.Sprint("file", i)), fmt.Sprint(i))
			write(t, filepath.Join(root, "last"), fmt.Sprint(i))
			if i > 1 {
				must(t, os.Remove(filepath.Join(root, fmt.Sprint("file", i-2))))
			}
		})
		chain = append(chain, parent)
	}
	viewed(t, parent, func(root string) {
		expected := []string{fmt.Sprint("file", count-2), fmt.Sprint("file", count-1), "last"}
		if found := names(t, root); strings.Join(found, " ") != strings.Join(expected, " ") {
			t.Fatalf("the last of %d layers holds %v", count, found)
		}
		want(t, filepath.Join(root, "last"), fmt.Sprint(count-1))
	})
	for i := len(chain) - 1; i >= 0; i-- {
		must(t, shared.Remove(ctx, chain[i]))
	}
}

func Test128Layers(t *testing.T) { testLayers(t, 128) }
func Test200Layers(t *testing.T) { testLayers(t, 200) }

func TestRenameOfAFolderOfTheParent(t *testing.T) {
	base := commit(t, "base", "", func(root string) {
		must(t, os.MkdirAll(filepath.Join(root, "dir/sub"), 0o755))
		write(t, filepath.Join(root, "dir/sub/file"), "text")
	})
	child := commit(t, "child", base, func(root string) {
		must(t, os.Rename(filepath.Join(root, "dir"), filepath.Join(root, "moved")))
		write(t, filepath.Join(root, "moved/sub/more"), "more")
	})
	viewed(t, child, func(root string) {
		want(t, filepath.Join(root, "moved/sub/file"), "text")
		want(t, filepath.Join(root, "moved/sub/more"), "more")
		wantMissing(t, filepath.Join(root, "dir"))
	})
	viewed(t, base, func(root string) { want(t, filepath.Join(root, "dir/sub/file"), "text") })
}

func TestWhatAFileIsSurvivesACommit(t *testing.T) {
	base := commit(t, "base", "", func(root string) {
		file := filepath.Join(root, "file")
		write(t, file, "text")
		must(t, os.Chown(file, 1000, 1001))
		must(t, syscall.Chmod(file, 0o4751))
		must(t, os.Link(file, filepath.Join(root, "link")))
		must(t, unix.Setxattr(file, "user.colour", []byte("blue"), 0))
		must(t, os.Symlink("../nowhere", filepath.Join(root, "symlink")))
		must(t, unix.Mknod(filepath.Join(root, "null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
		must(t, unix.Mkfifo(filepath.Join(root, "fifo"), 0o620))
		sparse, err := os.Create(filepath.Join(root, "sparse"))
		must(t, err)
		_, err = sparse.WriteAt([]byte("end"), 1<<30)
		must(t, err)
		must(t, sparse.Close())
		times := []unix.Timespec{{Sec: 1234567890, Nsec: 123456789}, {Sec: -5, Nsec: 7}}
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, file, times, unix.AT_SYMLINK_NOFOLLOW))
	})
	mounted(t, prepare(t, key(t, "child"), base), func(root string) {
		var file, link, sparse unix.Stat_t
		must(t, unix.Lstat(filepath.Join(root, "file"), &file))
		must(t, unix.Lstat(filepath.Join(root, "link"), &link))
		must(t, unix.Lstat(filepath.Join(root, "sparse"), &sparse))
		if file.Ino != link.Ino || file.Nlink != 2 {
			t.Fatal("the hard link was lost")
		}
		if file.Uid != 1000 || file.Gid != 1001 || file.Mode&0o7777 != 0o4751 {
			t.Fatalf("the file is %o of %d:%d", file.Mode, file.Uid, file.Gid)
		}
		if file.Mtim.Sec != -5 || file.Mtim.Nsec != 7 {
			t.Fatalf("the file was modified at %v", file.Mtim)
		}
		if sparse.Size != 1<<30+3 || sparse.Blocks > 1024 {
			t.Fatalf("the sparse file has %d bytes in %d blocks", sparse.Size, sparse.Blocks)
		}
		value := make([]byte, 16)
		n, err := unix.Getxattr(filepath.Join(root, "file"), "user.colour", value)
		must(t, err)
		if string(value[:n]) != "blue" {
			t.Fatalf("the attribute is %q", value[:n])
		}
	})
}

func TestDeviceOfAContainerWorks(t *testing.T) {
	mounted(t, prepare(t, key(t, "a"), ""), func(root string) {
		path := filepath.Join(root, "zero")
		must(t, unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))))
		if file, err := os.Open(path); err != nil {
			t.Fatal("devices cannot be opened:", err)
		} else {
			file.Close()
		}
	})
}

func TestNestedSubvolumesDoNotStopARemoval(t *testing.T) {
	if os.Getenv("CONFORMANCE_BACKEND") != "btrfs" {
		t.Skip("only a btrfs snapshot can hold subvolumes")
	}
	subvolume := func(arguments ...string) {
		out, err := exec.Command("btrfs", append([]string{"subvolume"}, arguments...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	base := commit(t, "base", "", func(root string) {
		subvolume("create", filepath.Join(root, "one"))
		subvolume("create", filepath.Join(root, "one/two"))
		write(t, filepath.Join(root, "one/two/file"), "text")
		subvolume("snapshot", "-r", filepath.Join(root, "one/two"), filepath.Join(root, "one/three"))
	})
	child := key(t, "child")
	mounted(t, prepare(t, child, base), func(root string) { subvolume("create", filepath.Join(root, "four")) })
	must(t, shared.Remove(ctx, child))
	must(t, shared.Remove(ctx, base))
	must(t, cleanup())
}
