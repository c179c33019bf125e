//! What does the `impl` under the attribute say?

use proc_macro2::{Ident, TokenStream};
use syn::{
    Attribute, GenericParam, Generics, ImplItem, ImplItemFn, Item, ItemImpl, ReturnType, Type, Visibility,
};

use crate::arguments::Arguments;
use crate::errors::Errors;
use crate::message::{Mark, Message};
use crate::{generics, names, types};

const HOOKS: &[&str] = &["started", "signal", "pre_restart", "post_restart", "stopped"];

/// Everything that is generated from.
pub(crate) struct Actor {
    pub(crate) root: syn::Path,
    /// The type of the actor.
    pub(crate) ty: Type,
    /// Its name, without parameters.
    pub(crate) name: Ident,
    pub(crate) generics: Generics,
    /// The name of the message type.
    pub(crate) msg: Ident,
    /// The name of the trait.
    pub(crate) ext: Ident,
    /// The visibility of both.
    pub(crate) vis: Visibility,
    /// The parameters that both have.
    pub(crate) parameters: Generics,
    /// The `#[cfg(…)]` and `#[allow(…)]` of the `impl`, for all that is generated.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) messages: Vec<Message>,
    pub(crate) hooks: Vec<ImplItemFn>,
}

/// Reads an item. Beside the actor comes the `impl` without hooks and marks.
pub(crate) fn parse(
    arguments: Arguments,
    item: TokenStream,
    errors: &mut Errors,
) -> Option<(Actor, ItemImpl)> {
    let mut block = match syn::parse2::<Item>(item) {
        Ok(Item::Impl(block)) => block,
        Ok(other) => {
            errors.at(
                &other,
                "`#[actor]` belongs on the `impl` with the methods of the actor: `impl Counter { … }`",
            );
            return None;
        }
        Err(error) => {
            errors.add(error);
            return None;
        }
    };
    if let Some((path, _)) = &block.trait_ {
        errors.at(
            path,
            "`#[actor]` belongs on the inherent `impl`, and writes `impl Actor` itself: hooks go in there with `#[hook]`",
        );
        return None;
    }
    for parameter in &block.generics.params {
        if let GenericParam::Lifetime(parameter) = parameter {
            errors.at(parameter, "an actor is `'static` and cannot borrow: let it own what it needs");
            return None;
        }
    }
    let name = match types::bare(&block.self_ty) {
        Type::Path(path) => path.path.segments.last()?.ident.clone(),
        other => {
            errors.at(other, "an actor is a struct or an enum: write its name");
            return None;
        }
    };

    let ty = (*block.self_ty).clone();
    let (mut messages, hooks) = methods(&mut block, &ty, errors);
    without_doubles(&mut messages, errors);

    let parameters = generics::needed(&block.generics, &messages);
    let attributes = block.attrs.iter().filter(|it| it.path().is_ident("cfg") || it.path().is_ident("allow"));
    let actor = Actor {
        root: arguments.root.unwrap_or_else(|| syn::parse_quote!(::omnitron)),
        msg: arguments.msg.unwrap_or_else(|| names::of_actor(&name, "Msg")),
        ext: arguments.ext.unwrap_or_else(|| names::of_actor(&name, "Ref")),
        vis: arguments.vis.unwrap_or_else(|| widest(&messages)),
        generics: block.generics.clone(),
        attributes: attributes.cloned().collect(),
        ty,
        name,
        parameters,
        messages,
        hooks,
    };
    Some((actor, block))
}

/// Takes the hooks out of the `impl`, and the marks off the messages.
fn methods(block: &mut ItemImpl, ty: &Type, errors: &mut Errors) -> (Vec<Message>, Vec<ImplItemFn>) {
    let (mut messages, mut hooks, mut marked) = (Vec::new(), Vec::new(), false);
    for item in std::mem::take(&mut block.items) {
        let ImplItem::Fn(mut method) = item else {
            block.items.push(item);
            continue;
        };
        match Mark::take(&mut method, errors) {
            Some(Mark::Hook) => {
                hooks.extend(is_hook(&method, errors).then_some(method));
                continue;
            }
            Some(mark) => {
                marked = true;
                messages.extend(Message::of(&method, mark, ty, errors));
                // A message owns its parts, and the actor handles it, whether or not the body makes use of that.
                method
                    .attrs
                    .push(syn::parse_quote!(#[allow(clippy::needless_pass_by_value, clippy::unused_self)]));
            }
            None => {}
        }
        block.items.push(ImplItem::Fn(method));
    }
    if !marked {
        errors.at(&block.self_ty, "no method is a message: mark one with `#[tell]` or `#[ask]`");
    }
    (messages, hooks)
}

/// Checks what rustc would say less plainly. The signature is compared with that of `Actor` by rustc.
fn is_hook(method: &ImplItemFn, errors: &mut Errors) -> bool {
    let before = errors.count();
    let name = &method.sig.ident;
    if name == "receive" {
        errors
            .at(name, "`receive` is generated from the messages: mark its parts with `#[tell]` and `#[ask]`");
    } else if !HOOKS.iter().any(|hook| name == hook) {
        let known = HOOKS.join("`, `");
        errors.at(name, format!("there is no hook `{name}`; the hooks are `{known}`"));
    }
    let returns_future =
        matches!(&method.sig.output, ReturnType::Type(_, ty) if matches!(**ty, Type::ImplTrait(_)));
    if method.sig.asyncness.is_none() && !returns_future {
        errors.at(&method.sig.fn_token, "a hook is an `async fn`");
    }
    errors.count() == before
}

/// Of two methods that differ only in their underscores, and make the same variant, one goes.
fn without_doubles(messages: &mut Vec<Message>, errors: &mut Errors) {
    let mut seen: Vec<Message> = Vec::new();
    for message in messages.drain(..) {
        // Where both depend on a `cfg`, one may be absent. Rustc knows.
        let same = |first: &&Message| {
            first.variant == message.variant && (first.cfgs.is_empty() || message.cfgs.is_empty())
        };
        if let Some(first) = seen.iter().find(same) {
            let Message { method, variant, .. } = &message;
            let text =
                format!("`{}` and `{method}` both make the variant `{variant}`: rename one", first.method);
            errors.at(method, text);
        } else {
            seen.push(message);
        }
    }
    *messages = seen;
}

/// The visibility of the message that is seen from furthest away.
fn widest(messages: &[Message]) -> Visibility {
    let rank = |vis: &Visibility| match vis {
        Visibility::Public(_) => 4,
        Visibility::Restricted(to) if to.path.is_ident("crate") => 3,
        Visibility::Restricted(to) if to.in_token.is_some() => 2,
        Visibility::Restricted(to) if to.path.is_ident("super") => 1,
        _ => 0,
    };
    let all = messages.iter().map(|message| &message.vis);
    all.max_by_key(|vis| rank(vis)).cloned().unwrap_or(Visibility::Inherited)
}
