//! The manifest of `dev/`: our crates, the user's patches, and the profile, which the user's crates share.

use toml_edit::{DocumentMut, InlineTable, Item, Table, value};

use super::{Dev, OURS, migrations::DEFAULT};
use crate::{
    failure::Failure,
    files::{parse, relative},
};

impl Dev<'_> {
    pub(super) fn workspace(&self) -> Result<String, Failure> {
        let template = include_str!("../../templates/dev/workspace.toml");
        let text = template.replace("@APP@", &self.free("dev_app"));
        let mut workspace: DocumentMut = text.parse().expect("the template is TOML");

        if let Some(folder) = self.migrations.as_ref().filter(|folder| *folder != DEFAULT) {
            workspace["workspace"]["metadata"]["host"]["migrations"] = value(folder);
        }
        for (name, folder) in OURS {
            let mut ours = self.source.dependency(folder);
            let key = if name == "shared" {
                self.shared()
            } else {
                name
            };
            if key != name {
                ours.insert("package", name.into());
            }
            workspace["workspace"]["dependencies"][key] = value(ours);
        }
        let debouncer = self.source.dependency("host/debounce");
        workspace["patch"]["crates-io"]["notify-debouncer-full"] = value(debouncer);
        self.copy_patches(&mut workspace)?;

        for name in self.crates.keys() {
            let mut profile = Table::new();
            profile["debug"] = value("line-tables-only");
            workspace["profile"]["hot"]["package"][name] = Item::Table(profile);
        }
        Ok(workspace.to_string())
    }

    /// The user's `[patch]`: cargo reads it only in a workspace's root.
    fn copy_patches(&self, workspace: &mut DocumentMut) -> Result<(), Failure> {
        let manifest = parse(&self.project.manifest())?;
        let Some(patches) = manifest.get("patch").and_then(Item::as_table_like) else {
            return Ok(());
        };
        let root = self.project.root();
        for (registry, patched) in patches.iter() {
            let Some(patched) = patched.as_table_like() else {
                continue;
            };
            for (name, item) in patched.iter() {
                let Some(patch) = item.as_table_like() else {
                    continue;
                };
                let mut copy = InlineTable::new();
                for (key, item) in patch.iter() {
                    let Some(mut value) = item.as_value().cloned() else {
                        continue;
                    };
                    if let (true, Some(path)) = (key == "path", value.as_str()) {
                        value = relative(&root.join("dev"), &root.join(path)).into();
                    }
                    value.decor_mut().clear();
                    copy.insert(key, value);
                }
                let patches = workspace["patch"].or_insert(toml_edit::table());
                let registry = &mut patches[registry];
                if registry.is_none() {
                    *registry = toml_edit::table();
                }
                registry[name] = value(copy);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_profile_is_that_of_the_dev_server_itself() {
        let hot = |manifest: &str| -> serde_json::Value {
            let manifest: serde_json::Value = toml_edit::de::from_str(manifest).unwrap();
            manifest["profile"]["hot"].clone()
        };
        // Read as the test runs: in a package of this crate there is none, and its tests compile all the same.
        let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
        assert_eq!(
            hot(include_str!("../../templates/dev/workspace.toml")),
            hot(&std::fs::read_to_string(ours).unwrap())
        );
    }
}
