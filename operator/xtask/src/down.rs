//! `make down`: removes what `make up` made, and says what it keeps.

use lotoai_local::Progress;

use crate::cluster::{self, Target, local, main_instance};
use crate::error::Result;
use crate::platform::{NAME, NAMESPACE, OPERATOR_NAMESPACE};
use crate::{paths, text};

/// Removes the platform; with `keep_data` the local cluster only stops.
pub(crate) fn run(keep_data: bool) -> Result<()> {
    match Target::of_last_up()? {
        Target::Current => {
            let access = Target::Current.access()?;
            access.kubectl(&[
                "delete",
                "lotoai",
                NAME,
                "--namespace",
                NAMESPACE,
                "--ignore-not-found",
            ])?;
            println!(
                "{}",
                text::removed_resource(NAME, NAMESPACE, OPERATOR_NAMESPACE)
            );
        }
        Target::Kind => {
            cluster::kind_down()?;
            println!("{}", text::removed_kind());
        }
        Target::Local => remove_local(keep_data)?,
    }
    println!("{}", text::kept_cache(paths::cache().display()));
    Ok(())
}

fn remove_local(keep_data: bool) -> Result<()> {
    let progress = Progress::new();
    let instance = main_instance()?;
    if keep_data {
        lotoai_local::stop(&progress, &instance)
            .map_err(|error| local("stop the local cluster", error))?;
        println!("{}", text::stopped(instance.state_dir().display()));
        return Ok(());
    }
    let removed = lotoai_local::remove(&progress, &instance)
        .map_err(|error| local("remove the local cluster", error))?;
    println!("{removed}");
    Ok(())
}
