//! Turns a refused configuration into a sentence that names the variable, the cause and the fix.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// One line per fault of `error`, in terms of the environment variables of `command`.
/// The value itself is left out when the variable holds a secret.
#[must_use]
pub fn describe(command: &clap::Command, error: &clap::Error) -> String {
    let names = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => vec![name.clone()],
        Some(ContextValue::Strings(names)) => names.clone(),
        _ => return error.to_string(),
    };
    let lines: Vec<_> = names
        .iter()
        .map(|name| line(command, error, name))
        .collect();
    lines.join("\n")
}

fn line(command: &clap::Command, error: &clap::Error, shown: &str) -> String {
    // clap shows an argument as `--postgres-url <POSTGRES_URL>`.
    let long = shown
        .trim_start_matches("--")
        .split([' ', '='])
        .next()
        .unwrap_or(shown);
    let argument = find(command, long);
    let variable = argument.and_then(clap::Arg::get_env).map_or_else(
        || shown.to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    let meaning = argument
        .and_then(clap::Arg::get_help)
        .map_or_else(String::new, |help| format!(": {help}"));
    if error.kind() == ErrorKind::MissingRequiredArgument {
        return format!("{variable} is not set; set it{meaning}");
    }
    let secret = argument.is_some_and(clap::Arg::is_hide_env_values_set);
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if !secret => format!(" {value:?}"),
        _ => String::new(),
    };
    let cause = std::error::Error::source(error)
        .filter(|_| !secret)
        .map_or_else(
            || "is refused".to_owned(),
            |cause| format!("is refused: {cause}"),
        );
    format!("{variable}{value} {cause}; set it to a valid value{meaning}")
}

/// The argument of the command or of one of its subcommands.
fn find<'a>(command: &'a clap::Command, long: &str) -> Option<&'a clap::Arg> {
    command
        .get_arguments()
        .find(|argument| argument.get_long() == Some(long))
        .or_else(|| {
            command
                .get_subcommands()
                .find_map(|command| find(command, long))
        })
}

/// Arguments that `--help` of a command does not explain, or whose secret it would show: for the
/// test that every workload has of its own configuration.
#[must_use]
pub fn unexplained(command: &clap::Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(|argument| {
        let id = argument.get_id();
        if id == "help" || id == "version" {
            return None;
        }
        let Some(variable) = argument.get_env().map(|name| name.to_string_lossy()) else {
            return Some(format!("{id} has no variable"));
        };
        if argument
            .get_help()
            .is_none_or(|help| help.to_string().is_empty())
        {
            return Some(format!("{variable} has no meaning"));
        }
        let name = variable.trim_end_matches("_STANDBY");
        let mut secret = ["TOKEN", "PASSWORD", "SECRET", "KEY"].into_iter();
        let shown = secret.any(|end| name.ends_with(end)) && !argument.is_hide_env_values_set();
        shown.then(|| format!("{variable} would be shown"))
    });
    let below = command.get_subcommands().flat_map(unexplained);
    own.chain(below).collect()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use secrecy::SecretString;

    use super::*;
    use crate::CommonArgs;

    #[derive(Debug, Parser)]
    struct Config {
        #[command(flatten)]
        _common: CommonArgs,
        /// Where the store is, for example `http://store:1`
        #[arg(long, env = "KIT_TEST_STORE_URL")]
        _store_url: url::Url,
        /// Key of the store
        #[arg(long, env = "KIT_TEST_KEY", hide_env_values = true, value_parser = refuse)]
        _key: Option<SecretString>,
    }

    fn refuse(text: &str) -> Result<SecretString, String> {
        Err(format!("{text} is too short"))
    }

    fn message(arguments: &[&str]) -> String {
        let error = Config::try_parse_from(arguments).unwrap_err();
        describe(&Config::command(), &error)
    }

    #[test]
    fn a_missing_variable_is_named_with_its_meaning() {
        assert_eq!(
            message(&["test"]),
            "KIT_TEST_STORE_URL is not set; set it: Where the store is, for example `http://store:1`"
        );
    }

    #[test]
    fn a_bad_value_is_shown_with_cause_and_fix() {
        let text = message(&[
            "test",
            "--store-url",
            "http://s:1",
            "--admin-listen",
            "nowhere",
        ]);
        assert_eq!(
            text,
            "ADMIN_LISTEN \"nowhere\" is refused: invalid socket address syntax; set it to a valid \
             value: Address of health, readiness and metrics, for example `0.0.0.0:9090`"
        );
    }

    #[test]
    fn a_bad_log_filter_is_refused_at_start() {
        let text = message(&["test", "--store-url", "http://s:1", "--log", "a=b=c"]);
        assert!(text.starts_with("LOG \"a=b=c\" is refused: "), "{text}");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let text = message(&["test", "--store-url", "http://s:1", "--key", "hunter2"]);
        assert!(text.starts_with("KIT_TEST_KEY is refused"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[derive(Parser)]
    struct Unexplained {
        /// Explained
        #[arg(long, env = "A")]
        a: String,
        #[arg(long, env = "B")]
        b: String,
        /// Without a variable
        #[arg(long)]
        c: String,
        /// A secret
        #[arg(long, env = "D_PASSWORD")]
        d: String,
        /// A secret
        #[arg(long, env = "E_KEY_STANDBY", hide_env_values = true)]
        e: String,
    }

    #[test]
    fn what_help_does_not_explain_is_found() {
        assert_eq!(
            unexplained(&Unexplained::command()),
            [
                "B has no meaning",
                "c has no variable",
                "D_PASSWORD would be shown",
            ]
        );
    }
}
