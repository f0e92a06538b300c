//! Configuration, from environment variables.

use std::path::PathBuf;

use clap::Parser;
use lotoai_kit::{CommonArgs, HasCommon};

/// Serves the platform's tools over MCP.
#[derive(Debug, Clone, Parser)]
pub struct Config {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

    /// File that declares the tools
    #[arg(long, env = "MCP_CONFIG", default_value = "/etc/lotoai/mcp.yaml")]
    pub(crate) mcp_config: PathBuf,

    /// Host names under which this server may be called, separated by commas. A call with another
    /// `Host` is refused, which stops DNS rebinding. Empty = `<PLATFORM>-mcp-server` and localhost
    #[arg(long, env = "MCP_ALLOWED_HOSTS", value_delimiter = ',')]
    pub(crate) mcp_allowed_hosts: Vec<String>,
}

impl Config {
    /// The host names under which this server may be called.
    pub(crate) fn allowed_hosts(&self) -> Vec<String> {
        if self.mcp_allowed_hosts.is_empty() {
            vec![
                format!("{}-mcp-server", self.common.platform),
                "localhost".into(),
                "127.0.0.1".into(),
            ]
        } else {
            self.mcp_allowed_hosts.clone()
        }
    }
}

impl HasCommon for Config {
    fn common(&self) -> &CommonArgs {
        &self.common
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_explains_every_variable() {
        use clap::CommandFactory as _;

        let faults = lotoai_kit::config_error::unexplained(&Config::command());
        assert_eq!(faults, Vec::<String>::new());
    }
}
