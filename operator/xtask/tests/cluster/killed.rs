//! A run of the tests that is killed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lotoai_local::{Instance, Kubectl, ToolPaths};

use crate::support::{XTASK, is_skipped};
use crate::traces::{PLACES, Subject, Traces};

/// The promise: a killed run is gone after this time.
const GONE_LIMIT: Duration = Duration::from_secs(60);
const READY_LIMIT: Duration = Duration::from_secs(300);

/// A process that holds a cluster, below a shell as it is below `make`.
struct Run {
    leader: Child,
    names: Receiver<String>,
}

impl Run {
    fn start(egress: &str) -> Self {
        // A shell that ran nothing after it would become the tool instead of being its parent.
        let script = r#""$@"; exit $?"#;
        // When this test fails, the runs must end as well.
        let mut leader = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "sh", "-c", script, "sh"])
            .args([XTASK, "internal", "hold"])
            .env("LOTOAI_EGRESS", egress)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(leader.stdout.take().unwrap()).lines();
        let (send, names) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                println!("{line}");
                if let Some(name) = line.strip_prefix("ready ") {
                    // Nobody waits for it any more when the test has failed.
                    let _ = send.send(name.to_owned());
                }
            }
        });
        Self { leader, names }
    }

    /// Waits until the node is Ready.
    fn ready(&self) -> Instance {
        let name = self.names.recv_timeout(READY_LIMIT).unwrap();
        Instance::new(&name).unwrap()
    }

    fn kill(mut self) {
        self.leader.kill().unwrap();
        self.leader.wait().unwrap();
    }
}

#[test]
fn a_killed_run_leaves_nothing_behind_and_its_neighbour_alone() {
    if is_skipped("a_killed_run_leaves_nothing_behind_and_its_neighbour_alone") {
        return;
    }
    // With a way out it has rules in the machine's packet filter as well, if the machine has one.
    let (run, other) = (Run::start("on"), Run::start("off"));
    let (killed, neighbour) = (run.ready(), other.ready());
    let tools = ToolPaths::built().unwrap();
    let kubectl = Kubectl::new(&neighbour, &tools);
    let (killed, neighbour) = (Subject::of(&killed), Subject::of(&neighbour));
    let before = neighbour.traces();
    for place in PLACES {
        // What is not seen while it is there would not be seen when it is left behind.
        assert!(killed.traces().contains_key(place), "{place}");
        assert!(before.contains_key(place), "{place} of the neighbour");
    }

    run.kill();
    killed.wait_until_gone(GONE_LIMIT);

    let answer = kubectl.run(&[
        "get",
        "nodes",
        "--output=jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}",
    ]);
    assert_eq!(answer.unwrap(), "True", "the neighbour's node");
    assert_eq!(lasting(neighbour.traces()), lasting(before));
    other.kill();
    neighbour.wait_until_gone(GONE_LIMIT);
}

/// Without what comes and goes while a cluster runs.
fn lasting(mut traces: Traces) -> Traces {
    traces.remove("processes");
    traces
}
