//! Style of the protos: the names of buf's STANDARD rules, and a comment on everything.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
};

use super::proto::{Comments, PACKAGE, files};
use super::source::hold;

/// What a field's comment says about who fills it.
const DUTIES: [&str; 4] = ["Required", "Optional", "Output only", "Input only"];

/// One file under the law.
struct Style<'a> {
    file: &'a FileDescriptorProto,
    comments: Comments,
    offences: Vec<String>,
}

impl Style<'_> {
    fn offend(&mut self, name: &str, why: &str) {
        self.offences
            .push(format!("{}: {name}: {why}", self.file.name()));
    }

    fn demand(&mut self, held: bool, name: &str, why: &str) {
        if !held {
            self.offend(name, why);
        }
    }

    fn commented(&mut self, name: &str, path: &[i32]) {
        let held = !self.comments.at(path).is_empty();
        self.demand(held, name, "has no comment");
    }

    fn run(&mut self) {
        let file = self.file;
        let name = file.name().to_owned();
        let folder = PACKAGE.replace('.', "/");
        let stem = name
            .strip_prefix(&folder)
            .and_then(|rest| rest.strip_prefix('/'));
        let stem = stem.and_then(|rest| rest.strip_suffix(".proto"));
        self.demand(
            stem.is_some_and(is_lower_snake),
            &name,
            "is not in the package's folder",
        );
        self.demand(file.package() == PACKAGE, &name, "is of another package");
        self.demand(file.syntax() == "proto3", &name, "is not proto3");
        let plain = file.public_dependency.is_empty() && file.weak_dependency.is_empty();
        self.demand(plain, &name, "has a public or weak import");
        for (number, message) in (0..).zip(&file.message_type) {
            self.message(message, message.name(), &[4, number]);
        }
        for (number, r#enum) in (0..).zip(&file.enum_type) {
            self.r#enum(r#enum, r#enum.name(), &[5, number]);
        }
        for (number, service) in (0..).zip(&file.service) {
            self.service(service, &[6, number]);
        }
    }

    fn message(&mut self, message: &DescriptorProto, name: &str, path: &[i32]) {
        self.commented(name, path);
        self.demand(
            is_pascal(message.name()),
            name,
            "a message is in PascalCase",
        );
        for (number, field) in (0..).zip(&message.field) {
            let field_name = format!("{name}.{}", field.name());
            let message_path = path;
            let path = [path, &[2, number]].concat();
            self.commented(&field_name, &path);
            self.demand(
                is_lower_snake(field.name()),
                &field_name,
                "a field is in lower_snake_case",
            );
            // One of several says what all of them are for in the comment on the choice.
            let choice = field.oneof_index.filter(|_| !field.proto3_optional());
            let duty = choice.map_or(path, |choice| [message_path, &[8, choice]].concat());
            let comment = self.comments.at(&duty);
            let says = DUTIES.iter().any(|duty| comment.contains(duty));
            self.demand(
                says,
                &field_name,
                "is it Required, Optional, Output only or Input only?",
            );
        }
        for (number, oneof) in (0..).zip(&message.oneof_decl) {
            // An `optional` field is a oneof of its own, which nobody wrote.
            let written = !oneof.name().starts_with('_');
            let oneof_name = format!("{name}.{}", oneof.name());
            if written {
                self.commented(&oneof_name, &[path, &[8, number]].concat());
                self.demand(
                    is_lower_snake(oneof.name()),
                    &oneof_name,
                    "is in lower_snake_case",
                );
            }
        }
        for (number, nested) in (0..).zip(&message.nested_type) {
            let is_map = nested
                .options
                .as_ref()
                .is_some_and(prost_types::MessageOptions::map_entry);
            if !is_map {
                let name = format!("{name}.{}", nested.name());
                self.message(nested, &name, &[path, &[3, number]].concat());
            }
        }
        for (number, nested) in (0..).zip(&message.enum_type) {
            let name = format!("{name}.{}", nested.name());
            self.r#enum(nested, &name, &[path, &[4, number]].concat());
        }
    }

    fn r#enum(&mut self, r#enum: &EnumDescriptorProto, name: &str, path: &[i32]) {
        self.commented(name, path);
        self.demand(is_pascal(r#enum.name()), name, "an enum is in PascalCase");
        let aliases = r#enum
            .options
            .as_ref()
            .is_some_and(prost_types::EnumOptions::allow_alias);
        self.demand(!aliases, name, "has aliases");
        let prefix = format!("{}_", upper_snake(r#enum.name()));
        let zero = r#enum.value.first().is_some_and(|value| {
            value.number() == 0 && value.name() == format!("{prefix}UNSPECIFIED")
        });
        self.demand(zero, name, "begins with 0, which is UNSPECIFIED");
        for (number, value) in (0..).zip(&r#enum.value) {
            self.commented(value.name(), &[path, &[2, number]].concat());
            let held =
                value.name().starts_with(&prefix) && is_lower_snake(&value.name().to_lowercase());
            let held = held && value.name() == value.name().to_uppercase();
            self.demand(held, value.name(), &format!("a value begins with {prefix}"));
        }
    }

    fn service(&mut self, service: &ServiceDescriptorProto, path: &[i32]) {
        let name = service.name().to_owned();
        self.commented(&name, path);
        let held = is_pascal(&name) && name.ends_with("Service");
        self.demand(
            held,
            &name,
            "a service is in PascalCase and ends in Service",
        );
        for (number, method) in (0..).zip(&service.method) {
            let method_name = format!("{name}.{}", method.name());
            self.commented(&method_name, &[path, &[2, number]].concat());
            self.demand(
                is_pascal(method.name()),
                &method_name,
                "a method is in PascalCase",
            );
            let own = |kind| format!(".{PACKAGE}.{}{kind}", method.name());
            let held =
                method.input_type() == own("Request") && method.output_type() == own("Response");
            self.demand(
                held,
                &method_name,
                "has a request and a response of its own name",
            );
        }
    }
}

fn is_pascal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_lower_snake(name: &str) -> bool {
    let characters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(characters)
        && !name.contains("__")
        && !name.ends_with('_')
}

/// `AuthKind` is `AUTH_KIND`.
fn upper_snake(name: &str) -> String {
    let mut snake = String::new();
    let mut last = '_';
    for c in name.chars() {
        if c.is_ascii_uppercase() && !last.is_ascii_uppercase() && last != '_' {
            snake.push('_');
        }
        snake.push(c.to_ascii_uppercase());
        last = c;
    }
    snake
}

/// Methods that share a message, and imports that nothing is taken from.
fn between_files(files: &[FileDescriptorProto]) -> Vec<String> {
    let mut offences = Vec::new();
    let mut homes = BTreeMap::new();
    let mut spoken = BTreeSet::new();
    for file in files {
        let messages = file.message_type.iter().map(DescriptorProto::name);
        for name in messages.chain(file.enum_type.iter().map(EnumDescriptorProto::name)) {
            homes.insert(format!(".{PACKAGE}.{name}"), file.name());
        }
    }
    for file in files {
        let methods = || file.service.iter().flat_map(|service| &service.method);
        for name in methods().flat_map(|method| [method.input_type(), method.output_type()]) {
            if !spoken.insert(name) {
                offences.push(format!("{}: {name} is spoken by two methods", file.name()));
            }
        }
        let fields = file.message_type.iter().flat_map(|message| &message.field);
        let used: BTreeSet<_> = fields
            .map(prost_types::FieldDescriptorProto::type_name)
            .chain(methods().flat_map(|method| [method.input_type(), method.output_type()]))
            .filter_map(|name| homes.get(name).copied())
            .collect();
        let folder = PACKAGE.replace('.', "/");
        for import in file
            .dependency
            .iter()
            .filter(|import| import.starts_with(&folder))
        {
            if !used.contains(import.as_str()) {
                offences.push(format!("{}: nothing of {import} is used", file.name()));
            }
        }
    }
    offences
}

fn offences(files: &[FileDescriptorProto]) -> Vec<String> {
    let mut offences = between_files(files);
    for file in files {
        let mut style = Style {
            file,
            comments: Comments::of(file),
            offences: Vec::new(),
        };
        style.run();
        offences.append(&mut style.offences);
    }
    offences
}

#[test]
fn the_protos_are_in_style() {
    hold("the protos are in style", &offences(&files()));
}

#[test]
fn the_law_of_style_sees_what_breaks_it() {
    let mut files = files();
    let file = files
        .iter_mut()
        .find(|file| file.name().ends_with("/tenant.proto"))
        .unwrap();
    file.dependency.push("stationmaster/v1/chat.proto".into());
    file.message_type[0].field[0].name = Some("displayName".into());
    file.enum_type[0].value[0].name = Some("TENANT_STATE_NONE".into());
    file.enum_type[0].value[1].name = Some("ACTIVE".into());
    file.enum_type[0].name = Some("tenant_state".into());
    file.service[0].name = Some("Tenants".into());
    let method = file.service[0].method[0].clone();
    file.service[0].method[1].input_type = method.input_type;
    let info = file.source_code_info.as_mut().unwrap();
    let said = info
        .location
        .iter_mut()
        .find(|location| location.path == [4, 0, 2, 1])
        .unwrap();
    said.leading_comments = Some(" What people see.".into());
    info.location
        .retain(|location| location.path != [4, 0, 2, 2]);

    let offences = offences(&files);

    let found = |words: &str| offences.iter().any(|offence| offence.contains(words));
    for words in [
        "nothing of stationmaster/v1/chat.proto is used",
        "CreateTenantRequest is spoken by two methods",
        "displayName: a field is in lower_snake_case",
        "display_name: is it Required",
        "Tenant.state: has no comment",
        "ACTIVE: a value begins with",
        "tenant_state: an enum is in PascalCase",
        "tenant_state: begins with 0",
        "Tenants: a service is in PascalCase and ends in Service",
        "GetTenant: has a request and a response of its own name",
    ] {
        assert!(found(words), "{words}: {offences:#?}");
    }
}
