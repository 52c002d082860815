#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing (as root, by apt), builds, runs every test, and ends in a summary.
#
#   sudo ./test.sh             everything
#   sudo ./test.sh --quick     unit tests, and the suites against the socket
#   sudo ./test.sh NAME…       only the steps of that name (--list names them; dm-thin-suites and
#                              dm-thin-suites-6.12, an hour long each, are run by name alone)
#
# The logs of all steps are kept in build/test-logs. A skip that is not expected counts as a failure
# when CI is set; COWSNAP_EXPECTED_SKIPS says how many there may be (none).
set -uo pipefail
cd "$(dirname "$0")" || exit 1
. tests/lib/install.sh

logs=$PWD/build/test-logs
passed=0 failed=0 skipped=0
failures=()

# ---- steps: a function each; dashes and dots in a step's name are underscores in the function's ----

# What needs device-mapper has a step of its own, which looks for a kernel that has it.
step_unit() { build_preset debug && unit_tests debug -LE device-mapper; }
step_sanitizers() { build_preset asan-ubsan && unit_tests asan-ubsan -LE 'device-mapper|inject'; }
step_threads() { build_preset tsan && unit_tests tsan -L concurrency; }
step_model() { tests/model/run.sh; }
step_faults() { build_preset asan-ubsan && tests/inject/run.sh; }
step_containerd_suite() { tests/suite/run.sh; }
step_conformance() { tests/conformance/run.sh; }
step_tool() { tests/cli/run.sh; }
step_kills() { build_preset steps && tests/crash/run.sh --kills 200; }
step_power_cuts() { build_preset steps && tests/crash/run.sh --cuts 40; }
step_power_cuts_on_btrfs() { build_preset steps && tests/crash/run.sh --cuts 20 --root-on btrfs; }
# The steps of all backends are passed by btrfs above; these are of thin volumes alone.
step_crash_dm_thin() {
    build_preset steps && install_vm_packages && tests/vm/run --device-mapper --timeout 1200 -- \
        tests/crash/run.sh --backend dm-thin --kills 18 --step dm-thin. --cuts 8 --reorder
}
step_cuts_reordered() {
    build_preset steps && install_vm_packages && tests/vm/run --device-mapper --timeout 1200 -- \
        tests/crash/run.sh --cuts 12 --reorder
}
step_tool_pool() { tests/cli/pool.sh btrfs; }
step_install() { tests/install/run.sh; }
step_vm_btrfs_6_1() { vm_btrfs bookworm; }
step_vm_btrfs_6_12() { vm_btrfs trixie; }
step_conformance_by_subvolume() { tests/conformance/run.sh by-subvolume; }
step_refused() { tests/refused/run.sh; }
step_seccomp() { tests/seccomp/run.sh; }
step_full() { tests/full/run.sh; }
step_load() { tests/load/run.sh; }
step_e2e_1_6() { tests/e2e/run.sh 1.6; }
step_e2e_1_7() { tests/e2e/run.sh 1.7; }
step_e2e_2() { tests/e2e/run.sh 2; }
step_restarts_1_7() { tests/e2e/restarts.sh 1.7; }
step_restarts_2() { tests/e2e/restarts.sh 2; }
step_differential() { tests/differential/run.sh; }
step_differential_io_uring() { tests/differential/run.sh --engine io_uring; }
step_differential_overlay() { tests/differential/run.sh overlay; }
step_fuzz() { tests/fuzz/run.sh; }
step_fuzz_afl() { tests/fuzz/run.sh --afl; }
step_parser_coverage() { tests/fuzz/coverage.sh; }
step_analysis() { tests/analysis/run.sh; }
step_dm_thin() {
    install_vm_packages && tests/vm/run --device-mapper --timeout 1200 -- tests/dm-thin/run.sh unit tool states
}
step_dm_thin_6_12() { install_vm_packages && tests/vm/run --kernel trixie --timeout 1200 -- tests/dm-thin/run.sh unit; }
# What the guest cannot make, since it only reads the tree, is made before.
step_e2e_dm_thin() {
    install_vm_packages && tests/images/make_image.sh minimal gzip,zstd,none >/dev/null &&
        tests/images/make_image.sh real >/dev/null && tests/peers/containerd.sh 1.7 >/dev/null &&
        tests/vm/run --device-mapper --memory 7G --timeout 900 -- tests/e2e/run.sh 1.7 dm-thin
}
step_differential_thin() {
    install_vm_packages && tests/differential/run.sh --build --no-real --every 16 &&
        tests/vm/run --device-mapper --memory 7G --timeout 1800 -- tests/differential/run.sh thin --no-real --every 16
}
step_systemd() {
    install_vm_packages && tests/systemd/run.sh --build &&
        tests/vm/run --systemd --memory 6G --disk 20G --timeout 1800 -- tests/systemd/run.sh
}
step_dm_thin_suites() { dm_thin_suites --device-mapper; }
step_dm_thin_suites_6_12() { dm_thin_suites --kernel trixie; }
step_speed() { tests/speed/run.sh; }

quick=(unit containerd-suite conformance tool tool-pool)
all=(
    "${quick[@]}" install analysis sanitizers threads model faults fuzz fuzz-afl parser-coverage
    conformance-by-subvolume refused seccomp full load kills power-cuts power-cuts-on-btrfs
    e2e-1.6 e2e-1.7 e2e-2 restarts-1.7 restarts-2
    differential differential-io-uring differential-overlay
    vm-btrfs-6.1 vm-btrfs-6.12 dm-thin dm-thin-6.12 e2e-dm-thin crash-dm-thin cuts-reordered differential-thin systemd
    speed
)

# ---- how they are run ----

build_preset() {
    cmake --preset "$1" >"$logs/build-$1.log" 2>&1 && cmake --build --preset "$1" >>"$logs/build-$1.log" 2>&1 || {
        tail -n 40 "$logs/build-$1.log"
        echo "the preset $1 does not build"
        return 1
    }
}

# Unit tests count one by one: the line "count: PASSED FAILED SKIPPED" says how many they were. A program of which
# a part skips itself (cmocka's skip()) has passed for ctest; ctest's own log tells those parts, which count as skips.
unit_tests() {
    local preset=$1 status=0 report=$logs/ctest-$1.txt total bad skips parts
    shift
    ctest --preset "$preset" -j "$(nproc)" "$@" >"$report" 2>&1 || status=$?
    grep -E '(Failed|Timeout|Not Run|Skipped)' "$report" || true
    [ "$status" = 0 ] || tail -n 200 "$report"
    total=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#' "$report")
    skips=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#.*\*\*\*Skipped' "$report")
    bad=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#.*\*\*\*(Failed|Timeout|Exception|Not Run)' "$report")
    [ "$total" -gt 0 ] || { echo "no unit test was run"; return 1; }
    parts=$(sed -nE 's/^\[  SKIPPED \] ([0-9]+) test\(s\).*/\1/p' "build/$preset/Testing/Temporary/LastTest.log" |
        awk '{ n += $1 } END { print n + 0 }')
    [ "$parts" = 0 ] || grep -E '^\[  SKIPPED \] [a-z_]' "build/$preset/Testing/Temporary/LastTest.log" | sort -u
    echo "count: $((total - bad - skips)) $bad $((skips + parts))"
    return "$status"
}

# The kernel of a Debian release in a virtual machine; what runs there is built here.
vm_btrfs() {
    install_vm_packages && tests/conformance/run.sh --build &&
        tests/vm/run --kernel "$1" --timeout 1200 -- tests/conformance/run.sh folder -test.timeout 18m
}

# All there is about thin volumes, with those options of tests/vm/run.
dm_thin_suites() {
    install_vm_packages && tests/suite/run.sh --build && tests/conformance/run.sh --build &&
        tests/differential/run.sh --build &&
        tests/vm/run "$@" --memory 7G --timeout 7200 -- tests/dm-thin/run.sh
}

run_step() {
    local name=$1 log=$logs/$1.log status=0 seconds=$SECONDS counts good bad skips
    printf '%-24s ' "$name"
    [ -t 1 ] && printf '…'
    ("step_${name//[-.]/_}") >"$log" 2>&1 </dev/null || status=$?
    seconds=$((SECONDS - seconds))
    [ -t 1 ] && printf '\b'
    counts=$(sed -n 's/^count: //p' "$log" | tail -n 1)
    read -r good bad skips <<<"${counts:-$([ "$status" = 0 ] && echo 1 0 0 || { [ "$status" = 77 ] && echo 0 0 1 || echo 0 1 0; })}"
    [ "$status" = 0 ] || [ "$status" = 77 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skips))
    if [ "$bad" -gt 0 ]; then
        failures+=("$name")
        printf 'FAILED  %4d s\n' "$seconds"
        tail -n 60 "$log" | sed 's/^/    /'
    elif [ "$good" = 0 ]; then
        printf 'skipped %4d s  %s\n' "$seconds" "$(grep -m 1 SKIPPED "$log")"
    else
        printf 'ok      %4d s  %s\n' "$seconds" "$(sed -n 's/^summary: //p' "$log" | tail -n 1)"
    fi
}

main() {
    local steps=("${all[@]}") name
    case ${1:-} in
    --quick) steps=("${quick[@]}") ;;
    --list)
        printf '%s\n' "${all[@]}"
        exit 0
        ;;
    -h | --help)
        sed -n '4,13s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    ?*)
        steps=("$@")
        for name in "${steps[@]}"; do
            declare -F "step_${name//[-.]/_}" >/dev/null || { echo "test.sh: there is no step '$name'; --list names them" >&2; exit 2; }
        done
        ;;
    esac
    mkdir -p "$logs"
    install_build_packages && install_test_packages || exit 1
    printf '%-24s ' build
    build_preset release || exit 1
    printf 'ok      %4d s\n' "$SECONDS"
    export COWSNAP_BUILD=$PWD/build/release RIG_KEEP_LOGS=$logs
    for name in "${steps[@]}"; do
        run_step "$name"
    done
    if [ -n "${CI:-}" ] && [ "$skipped" -gt "${COWSNAP_EXPECTED_SKIPS:-0}" ]; then
        echo "$skipped skipped, ${COWSNAP_EXPECTED_SKIPS:-0} expected: on CI that is a failure"
        failed=$((failed + 1))
    fi
    [ ${#failures[@]} = 0 ] || echo "failed: ${failures[*]}; the logs are in $logs"
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
}

main "$@"
