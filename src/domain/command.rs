//! Programs that a profile has started, with arguments that a board's answer fills in.

use super::profile::DEVICE_VARIABLES;
use super::{Template, TemplateError, Variables};

/// A program and its arguments. Each is rendered by itself and handed over as it is, never through a
/// shell here; one may wait at the other end of an ssh connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    pub program: Template,
    pub args: Vec<Template>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("{argument:?}: {error}")]
    Template { argument: String, error: TemplateError },
    #[error("{argument:?}: {{{name}}} is {value:?}, and a command takes {}", rule(name))]
    Value { argument: String, name: String, value: String },
}

impl CommandLine {
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        std::iter::once(&self.program).chain(&self.args)
    }

    /// The program, then its arguments. No value can become an option, a second word, a path of its own or
    /// something to a shell.
    pub fn render(&self, variables: &Variables) -> Result<Vec<String>, CommandError> {
        self.templates().map(|argument| rendered(argument, variables)).collect()
    }
}

fn rendered(argument: &Template, variables: &Variables) -> Result<String, CommandError> {
    for name in argument.variables() {
        if let Some(value) = variables.get(name)
            && !may_be_said(name, value)
        {
            let (argument, name) = (argument.as_str().to_owned(), name.to_owned());
            return Err(CommandError::Value { argument, name, value: value.clone() });
        }
    }
    let unknown = |error| CommandError::Template { argument: argument.as_str().to_owned(), error };
    argument.render(variables).map_err(unknown)
}

/// What the board said may name a host or a unit; what this computer says of its port is a path, too.
pub fn may_be_said(variable: &str, value: &str) -> bool {
    let plain = |also: &'static [u8]| move |byte: u8| byte.is_ascii_alphanumeric() || also.contains(&byte);
    match is_of_device(variable) {
        true => !value.is_empty() && !value.starts_with('-') && value.bytes().all(plain(b"._:%+,@=/-")),
        false => {
            value.starts_with(|first: char| first.is_ascii_alphanumeric())
                && !value.contains("..")
                && value.bytes().all(plain(b"._:%-"))
        }
    }
}

fn is_of_device(variable: &str) -> bool {
    DEVICE_VARIABLES.contains(&variable)
}

fn rule(variable: &str) -> &'static str {
    match is_of_device(variable) {
        true => "letters, digits and ._:%+,@=/- only, and no - at its beginning",
        false => "letters, digits and ._:%- only, a letter or digit at its beginning, and no ..",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &[&str]) -> CommandLine {
        let mut all = args.iter().map(|text| Template::parse(text).unwrap());
        CommandLine { program: all.next().unwrap(), args: all.collect() }
    }

    fn with(name: &str, value: &str) -> Variables {
        Variables::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn what_a_board_calls_its_address_is_one_word_of_one_argument() {
        let ssh = line(&["ssh", "-o", "BatchMode=yes", "root@{address}", "p11-kit", "remote", "/usr/lib/m.so"]);
        for address in ["192.0.2.7", "gw-4.plant.example", "fe80::1%usb0"] {
            let rendered = ssh.render(&with("address", address)).unwrap();
            assert_eq!(rendered[3], format!("root@{address}"));
            assert_eq!(rendered.len(), 7);
        }
        for address in [
            "",
            "-oProxyCommand=sh",
            "a b",
            "a;reboot",
            "$(reboot)",
            "`x`",
            "a|b",
            "a&b",
            "a\nb",
            "a\0b",
            "a/b",
            "..",
            "a..b",
            "b@c",
            "\u{ff0d}x",
            "'",
            "*",
            "~",
        ] {
            let refused = ssh.render(&with("address", address)).unwrap_err();
            assert!(matches!(refused, CommandError::Value { .. }), "{address:?}: {refused}");
        }
    }

    #[test]
    fn a_port_is_a_path_and_no_option() {
        let wake = line(&["wake", "{port}"]);
        assert!(wake.render(&with("port", "/dev/ttyACM0")).is_ok());
        for port in ["-rf", "/dev/tty ACM0", ""] {
            assert!(wake.render(&with("port", port)).is_err(), "{port:?}");
        }
        // What the profile itself writes is its own affair.
        assert_eq!(line(&["sh", "-c", "sleep 1; exit 3"]).render(&Variables::new()).unwrap()[2], "sleep 1; exit 3");
    }

    #[test]
    fn the_refusal_names_argument_value_and_rule() {
        let error = line(&["ssh", "root@{address}"]).render(&with("address", "-x")).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""root@{address}": {address} is "-x", and a command takes letters, digits and ._:%- only, a letter or digit at its beginning, and no .."#
        );
        let error = line(&["ssh", "{adress}"]).render(&with("address", "a")).unwrap_err();
        assert_eq!(error.to_string(), r#""{adress}": there is no variable "adress" here"#);
    }
}
