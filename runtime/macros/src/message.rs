//! What does one message method say?
//!
//! From a method with `#[tell]` or `#[ask]` to a [`Message`]: its variant, the arguments that travel, and what is
//! done with what the method returns.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    Attribute, FnArg, ImplItemFn, Meta, Pat, ReceiverKind, ReturnType, Safety, Signature, Type, Visibility,
};

use crate::errors::Errors;
use crate::{names, types};

/// One message of an actor. Types are written without `Self`.
pub(crate) struct Message {
    /// The `#[cfg(…)]` of the method, for everything that is made from it.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) method: Ident,
    pub(crate) variant: Ident,
    pub(crate) vis: Visibility,
    pub(crate) is_async: bool,
    /// In the order of the method.
    pub(crate) arguments: Vec<Argument>,
    /// Whether an `Err` that the method returns is a failure of the actor.
    pub(crate) fails: bool,
    /// For an ask.
    pub(crate) reply: Option<Reply>,
    /// Where errors about what the method returns are shown.
    pub(crate) place: Span,
}

/// What a method is called with.
pub(crate) enum Argument {
    Context,
    Field(Field),
}

/// A part of a message.
pub(crate) struct Field {
    pub(crate) name: Ident,
    pub(crate) ty: TokenStream,
}

/// What comes back.
pub(crate) enum Reply {
    /// By `ask`; nothing stands for `()`.
    Plain(Option<TokenStream>),
    /// By `try_ask`.
    Result { ok: TokenStream, err: TokenStream },
}

/// How a method is marked.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Mark {
    Tell,
    Ask(Options),
    Hook,
}

/// What stands in `#[ask(…)]`.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub(crate) struct Options {
    fail: bool,
    plain: bool,
}

impl Mark {
    /// Takes the mark off a method.
    pub(crate) fn take(method: &mut ImplItemFn, errors: &mut Errors) -> Option<Self> {
        let is_mark = |it: &Attribute| ["tell", "ask", "hook"].iter().any(|mark| it.path().is_ident(mark));
        let (marks, rest) = std::mem::take(&mut method.attrs).into_iter().partition::<Vec<_>, _>(is_mark);
        method.attrs = rest;
        if let Some(second) = marks.get(1) {
            errors.at(second, "a method is one thing: `#[tell]`, `#[ask]` or `#[hook]`");
        }
        let mark = marks.first()?;
        if mark.path().is_ident("ask") {
            return Some(Self::Ask(errors.keep(Options::of(mark)).unwrap_or_default()));
        }
        if !matches!(mark.meta, Meta::Path(_)) {
            let name = mark.path().to_token_stream();
            errors.at(mark, format!("`#[{name}]` takes no options"));
        }
        Some(if mark.path().is_ident("tell") { Self::Tell } else { Self::Hook })
    }
}

impl Options {
    fn of(mark: &Attribute) -> syn::Result<Self> {
        let mut options = Self::default();
        if matches!(mark.meta, Meta::Path(_)) {
            return Ok(options);
        }
        mark.parse_nested_meta(|option| {
            if option.path.is_ident("fail") {
                options.fail = true;
            } else if option.path.is_ident("plain") {
                options.plain = true;
            } else {
                return Err(option.error(
                    "the options are `fail` (an `Err` is a failure of the actor) and `plain` (a `Result` is a \
                     reply like any other)",
                ));
            }
            Ok(())
        })?;
        Ok(options)
    }
}

impl Message {
    /// Reads a method of the type `actor`. None if it can be no message; `errors` says why.
    pub(crate) fn of(method: &ImplItemFn, mark: Mark, actor: &Type, errors: &mut Errors) -> Option<Self> {
        let before = errors.count();
        let signature = &method.sig;
        if !signature.generics.params.is_empty() {
            errors.at(
                &signature.generics,
                "a message has one type, so its method cannot be generic: make the actor generic, or name the type",
            );
        } else if let Some(bounds) = &signature.generics.where_clause {
            errors.at(bounds, "every message can be sent: put these bounds on the `impl`");
        }
        if let Safety::Unsafe(word) = &signature.safety {
            errors.at(word, "anybody can send a message, so its method has to be safe");
        }
        receiver(method, errors);
        let arguments = arguments(method, actor, errors);
        let is_ask = matches!(mark, Mark::Ask(_));
        if is_ask {
            for field in fields(&arguments).filter(|field| field.name == "reply") {
                errors.at(
                    &field.name,
                    "the `ReplyTo` of an ask is called `reply`: give the argument another name",
                );
            }
        }
        let (fails, reply) = match mark {
            Mark::Ask(options) => asked(signature, options, actor, errors),
            _ => (told(&signature.output, errors), None),
        };
        errors.keep(names::free_on_references(&signature.ident));
        let variant = errors.keep(names::variant(&signature.ident))?;
        let attributes = |name| method.attrs.iter().filter(move |it| it.path().is_ident(name)).cloned();
        (errors.count() == before).then(|| Self {
            cfgs: attributes("cfg").collect(),
            docs: attributes("doc").collect(),
            method: signature.ident.clone(),
            variant,
            vis: method.vis.clone(),
            is_async: signature.asyncness.is_some(),
            arguments,
            fails,
            reply,
            place: types::returned(&signature.output).map_or_else(|| signature.ident.span(), Spanned::span),
        })
    }

    /// The arguments that travel.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field> {
        fields(&self.arguments)
    }

    pub(crate) fn takes_context(&self) -> bool {
        self.arguments.iter().any(|argument| matches!(argument, Argument::Context))
    }
}

fn fields(arguments: &[Argument]) -> impl Iterator<Item = &Field> {
    arguments.iter().filter_map(|argument| match argument {
        Argument::Field(field) => Some(field),
        Argument::Context => None,
    })
}

fn receiver(method: &ImplItemFn, errors: &mut Errors) {
    match method.sig.receiver() {
        None => errors.at(&method.sig, "the actor handles its messages: begin with `&mut self` or `&self`"),
        Some(receiver) if !matches!(receiver.kind, ReceiverKind::Reference(..)) => {
            errors.at(receiver, "the actor lives on after a message: write `&mut self` or `&self`");
        }
        Some(_) => {}
    }
}

fn arguments(method: &ImplItemFn, actor: &Type, errors: &mut Errors) -> Vec<Argument> {
    let mut arguments = Vec::new();
    let mut has_context = false;
    for input in &method.sig.inputs {
        let FnArg::Typed(argument) = input else { continue };
        if let Some(cfg) =
            argument.attrs.iter().find(|it| it.path().is_ident("cfg") || it.path().is_ident("cfg_attr"))
        {
            errors.at(cfg, "a part of a message cannot be left out: put the `#[cfg]` on two methods");
        }
        if types::is_context(&argument.ty) {
            if has_context {
                errors.at(argument, "an actor has one `Context`: take it once");
            }
            has_context = true;
            arguments.push(Argument::Context);
            continue;
        }
        errors.keep(types::owned(&argument.ty));
        let name = match &*argument.pat {
            Pat::Ident(name) if name.subpat.is_none() && name.by_ref.is_none() => names::field(&name.ident),
            _ => None,
        };
        let Some(name) = name else {
            errors.at(
                &argument.pat,
                "the name of an argument becomes the name of a field: write one here, and take the value apart in \
                 the body",
            );
            continue;
        };
        let ty = types::without_self(argument.ty.to_token_stream(), actor);
        arguments.push(Argument::Field(Field { name, ty }));
    }
    arguments
}

/// Whether an `Err` is a failure. A `#[tell]` returns nothing else.
fn told(output: &ReturnType, errors: &mut Errors) -> bool {
    let Some(ty) = types::returned(output) else { return false };
    match types::result(ty) {
        Some((Some(ok), _)) if types::is_unit(ok) => return true,
        Some((None, _)) => errors.at(ty, "write the types of the result: `Result<(), E>`"),
        _ => errors.at(
            ty,
            "nobody waits for what a `#[tell]` returns: use `#[ask]`, or return nothing, or `Result<(), E>` whose \
             `Err` is a failure of the actor",
        ),
    }
    false
}

/// Whether an `Err` is a failure, and what is replied.
fn asked(
    signature: &Signature,
    options: Options,
    actor: &Type,
    errors: &mut Errors,
) -> (bool, Option<Reply>) {
    let reply = match (types::returned(&signature.output), options.fail) {
        (returned, false) => returned,
        (Some(ty), true) if let Some((Some(ok), _)) = types::result(ty) => {
            Some(ok).filter(|ok| !types::is_unit(ok))
        }
        (_, true) => {
            let text = "with `#[ask(fail)]` an `Err` is a failure and the value of an `Ok` the reply: return `Result<T, E>`";
            match &signature.output {
                ReturnType::Type(_, ty) => errors.at(ty, text),
                ReturnType::Default => errors.at(signature, text),
            }
            return (true, None);
        }
    };
    let Some(ty) = reply else { return (options.fail, Some(Reply::Plain(None))) };
    errors.keep(types::owned(ty));
    let concrete = |ty: &Type| types::without_self(ty.to_token_stream(), actor);
    let reply = match types::result(ty) {
        Some((Some(ok), Some(err))) if !options.plain => {
            Reply::Result { ok: concrete(ok), err: concrete(err) }
        }
        Some(_) if !options.plain => {
            errors.at(
                ty,
                "an `Err` comes back as `AskError::Failed`, so write its type: `Result<T, E>`; or `#[ask(plain)]` to \
                 reply with the whole `Result`",
            );
            return (options.fail, None);
        }
        _ => Reply::Plain(Some(concrete(ty))),
    };
    (options.fail, Some(reply))
}
