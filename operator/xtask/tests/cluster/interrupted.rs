//! The start of a cluster, cut off at each of its stages and repeated.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lotoai_local::{Instance, Progress, TEST_PREFIX};
use rustix::process::{Pid, Signal};

use crate::support::{INTERRUPT, XTASK, is_skipped, wait_for};
use crate::traces::{Subject, hierarchies};

/// The programs of a node in the order in which they start; the last is the developer tool.
const PROGRAMS: [&str; 10] = [
    "etcd",
    "containerd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "network-policies",
    "local-path-provisioner",
    "forward",
];
const START_LIMIT: Duration = Duration::from_secs(300);
/// A start goes on for at most so long after the sign of a stage, in milliseconds.
const LONGEST_PAUSE: u64 = 100;

/// A stage that a start has reached when a file is there.
struct Stage {
    name: &'static str,
    sign: PathBuf,
}

fn stages(instance: &Instance) -> Vec<Stage> {
    let handle = format!("lotoai-{}", instance.name);
    let run = Path::new("/run").join(&handle);
    let device = &instance.network().host_device;
    let group = hierarchies().first().unwrap().join(&handle);
    let signs = [
        ("claim", instance.state_dir().join("instance.json")),
        ("certificates", instance.state_dir().join("pki")),
        ("control groups", group),
        ("network namespace", Path::new("/run/netns").join(&handle)),
        ("link", Path::new("/sys/class/net").join(device)),
        ("mount namespace", run.join("sandbox.ready")),
    ];
    let record = |program: &str| run.join("processes").join(format!("{program}.json"));
    let programs = PROGRAMS.map(|program| (program, record(program)));
    let all = signs.into_iter().chain(programs);
    all.map(|(name, sign)| Stage { name, sign }).collect()
}

/// How a start is cut off.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// A person at a terminal, who reaches every process of the group.
    Interrupt,
    /// The kernel, which ends one process and leaves its children at work.
    Kill,
}

impl Cut {
    fn apply(self, child: &Child) -> Signal {
        let id = i32::try_from(child.id()).unwrap();
        let id = Pid::from_raw(id).unwrap();
        match self {
            Self::Interrupt => rustix::process::kill_process_group(id, Signal::INT).unwrap(),
            Self::Kill => rustix::process::kill_process(id, Signal::KILL).unwrap(),
        }
        match self {
            Self::Interrupt => Signal::INT,
            Self::Kill => Signal::KILL,
        }
    }
}

#[test]
fn a_start_that_was_cut_off_can_be_repeated() {
    if is_skipped("a_start_that_was_cut_off_can_be_repeated") {
        return;
    }
    let name = format!("{TEST_PREFIX}{}", std::process::id());
    let mut chance = Chance::new();
    let count = u64::try_from(stages(&Instance::new(&name).unwrap()).len()).unwrap();
    let cases: Vec<(u64, Cut)> = if std::env::var(INTERRUPT).unwrap() == "all" {
        let both = |stage| [(stage, Cut::Interrupt), (stage, Cut::Kill)];
        (0..count).flat_map(both).collect()
    } else {
        let first = chance.below(count);
        let second = (first + 1 + chance.below(count - 1)) % count;
        vec![(first, Cut::Interrupt), (second, Cut::Kill)]
    };
    // This process owns the cluster: when it is killed or fails, this removes it.
    let instance = Instance::new(&name).unwrap();
    lotoai_local::watchdog(&instance, Path::new(XTASK)).unwrap();
    for (stage, cut) in cases {
        let pause = Duration::from_millis(chance.below(LONGEST_PAUSE));
        let instance = Instance::new(&name).unwrap();
        let stage = stages(&instance).remove(usize::try_from(stage).unwrap());
        if !cut_off(&instance, &stage, cut, pause) {
            println!("   it had ended before");
        }
        let mut again = start(&instance);
        let ended = wait_for_end(&mut again, START_LIMIT);
        assert!(ended.success(), "repeated after {cut:?} at {}", stage.name);
        every_program_runs_once(&instance);
        lotoai_local::remove(&Progress::new(), &instance).unwrap();
    }
}

fn start(instance: &Instance) -> Child {
    // Somebody who runs tests in the background may have made them deaf to the interrupt.
    Command::new("env")
        .args(["--default-signal=INT", XTASK, "internal", "start"])
        .arg(&instance.name)
        .process_group(0)
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

/// Cuts a start off after a stage. A quick machine may have come to a good end in the pause after the
/// last ones; then there was nothing to cut off.
fn cut_off(instance: &Instance, stage: &Stage, cut: Cut, pause: Duration) -> bool {
    println!("-- {cut:?} {} ms after {}", pause.as_millis(), stage.name);
    let mut child = start(instance);
    wait_for(stage.name, START_LIMIT, || {
        // Before it looks for the sign: one that has ended has left the sign before.
        let ended = child.try_wait().unwrap();
        if stage.sign.exists() {
            return Ok(());
        }
        if let Some(status) = ended {
            panic!("the start ended with {status} before {}", stage.name);
        }
        Err(format!("{} is not there", stage.sign.display()))
    });
    std::thread::sleep(pause);
    if let Some(status) = child.try_wait().unwrap() {
        assert!(status.success(), "{}: {status}", stage.name);
        return false;
    }
    let signal = cut.apply(&child);
    let status = wait_for_end(&mut child, Duration::from_secs(10));
    // It may end by itself between the look and the cut.
    if status.success() {
        return false;
    }
    assert_eq!(status.signal(), Some(signal.as_raw()), "{}", stage.name);
    true
}

fn wait_for_end(child: &mut Child, limit: Duration) -> ExitStatus {
    wait_for("the start to end", limit, || {
        let status = child.try_wait().map_err(|error| error.to_string())?;
        status.ok_or_else(|| "it still runs".to_owned())
    })
}

/// What the start that was cut off had begun must not run beside what the next one began.
fn every_program_runs_once(instance: &Instance) {
    let subject = Subject::of(instance);
    let limit = Duration::from_secs(10);
    // A program that is about to start another is two for a moment.
    wait_for("one process of each program", limit, || {
        let all = subject.processes();
        for program in PROGRAMS {
            let count = all.iter().filter(|line| runs(line, program)).count();
            if count != 1 {
                return Err(format!("{count} × {program} in {all:#?}"));
            }
        }
        Ok(())
    });
}

/// Whether a line `<id> <command line>` is of `program`.
fn runs(line: &str, program: &str) -> bool {
    let mut words = line.split(' ').skip(1);
    let called = words.next().unwrap_or_default();
    let name = called.rsplit('/').next().unwrap_or_default();
    if program == "forward" {
        return name == "xtask" && words.nth(1) == Some(program);
    }
    name == program
}

/// Chance that can be repeated (SplitMix64).
struct Chance(u64);

impl Chance {
    /// From `LOTOAI_SEED`, or from the clock; the seed is told.
    fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = std::env::var("LOTOAI_SEED")
            .map_or_else(|_| since.as_secs(), |text| text.parse().unwrap());
        println!("chance: LOTOAI_SEED={seed} repeats it");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

#[test]
fn the_same_seed_gives_the_same_chance() {
    let (mut one, mut two) = (Chance(7), Chance(7));
    for _ in 0..100 {
        let drawn = one.below(15);
        assert_eq!(drawn, two.below(15));
        assert!(drawn < 15);
    }
}

#[test]
fn programs_are_told_apart() {
    assert!(runs("7 /x/etcd --data-dir=/y", "etcd"));
    assert!(runs(
        "7 containerd --config=/var/lib/lotoai/a/containerd.toml",
        "containerd"
    ));
    assert!(!runs(
        "7 /usr/bin/containerd-shim-runc-v2 -id 1",
        "containerd"
    ));
    assert!(runs("7 /x/xtask internal forward 127.0.0.1:1 a", "forward"));
    assert!(!runs("7 /x/xtask internal watch test-1", "forward"));
}
