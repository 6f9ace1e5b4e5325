//! The command line, made from the table of settings. clap only collects texts: they are validated together with the
//! variables, so that all faults are reported at once and in the same words.

use clap::{Arg, ArgAction, ArgMatches, Command, Error};

#[cfg(feature = "dev")]
use super::table::DEV_FLAGS;
use super::table::{FLAGS, Flag};

/// The flags that were given. A flag takes precedence over the environment, which takes precedence over `.env`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags(Vec<Given>);

/// A flag that was given.
#[derive(Clone, Debug)]
struct Given {
    flag: String,
    variable: &'static str,
    value: String,
}

impl Flags {
    /// Each as the name of a layer, and its variable with the value.
    pub(super) fn layers(&self) -> impl Iterator<Item = (&str, (String, String))> {
        self.0.iter().map(|given| {
            let variable = (given.variable.to_owned(), given.value.clone());
            (given.flag.as_str(), variable)
        })
    }

    fn augment(command: Command, flags: impl Iterator<Item = &'static Flag>) -> Command {
        flags.fold(command, |command, flag| {
            let setting = flag.setting;
            let default = match setting.default {
                "" => String::new(),
                default => format!("[default: {default}] "),
            };
            let arg = Arg::new(setting.variable)
                .long(flag.long)
                .value_name(flag.value)
                .help(format!("{} {default}({})", setting.help, setting.variable));
            let arg = match flag.value {
                // `--test` is `--test on`.
                "on|off" => arg.num_args(0..=1).default_missing_value("on"),
                _ => arg,
            };
            let arg = match flag.short {
                Some(short) => arg.short(short),
                None => arg,
            };
            let command = command.arg(match flag.repeats {
                true => arg.action(ArgAction::Append),
                // The last one wins: recipes pass flags that a user may give again.
                false => arg.action(ArgAction::Set).overrides_with(setting.variable),
            });
            let Some(negation) = flag.negation else {
                return command;
            };
            let help = format!("The same as --{} off", flag.long);
            let arg = Arg::new(negation).long(negation).help(help);
            command.arg(
                arg.action(ArgAction::SetTrue)
                    .overrides_with(setting.variable),
            )
        })
    }

    fn from(matches: &ArgMatches, flags: impl Iterator<Item = &'static Flag>) -> Self {
        let given = flags.filter_map(|flag| {
            if let Some(negation) = flag.negation.filter(|it| matches.get_flag(it)) {
                return Some(Given {
                    flag: format!("--{negation}"),
                    variable: flag.setting.variable,
                    value: "off".to_owned(),
                });
            }
            let values = matches.get_many::<String>(flag.setting.variable)?;
            Some(Given {
                flag: format!("--{}", flag.long),
                variable: flag.setting.variable,
                value: values.cloned().collect::<Vec<_>>().join(","),
            })
        });
        Self(given.collect())
    }
}

/// The flags of a command: of `host dev`, or without `DEV` of `host serve`.
#[derive(Clone, Debug)]
pub(crate) struct CommandFlags<const DEV: bool>(pub(crate) Flags);

/// The flags of `host dev`.
#[cfg(feature = "dev")]
pub(crate) type DevFlags = CommandFlags<true>;

/// The flags of `host serve`.
#[cfg(feature = "production")]
pub(crate) type ServeFlags = CommandFlags<false>;

impl<const DEV: bool> CommandFlags<DEV> {
    fn table() -> impl Iterator<Item = &'static Flag> {
        #[cfg(feature = "dev")]
        let more = DEV_FLAGS.iter().filter(|_| DEV);
        #[cfg(not(feature = "dev"))]
        let more = [];
        FLAGS.iter().chain(more)
    }
}

impl<const DEV: bool> clap::Args for CommandFlags<DEV> {
    fn augment_args(command: Command) -> Command {
        Flags::augment(command, Self::table())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const DEV: bool> clap::FromArgMatches for CommandFlags<DEV> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(Flags::from(matches, Self::table())))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
