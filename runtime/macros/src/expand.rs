//! What is generated?
//!
//! Three things, each as a user could write it: the enum of the messages, the `impl Actor` that calls the methods, and
//! the trait which gives the methods to references; and a check of the types, for better errors. `expansion.md` shows
//! them, and a test compares.
//!
//! Names of locals are the macro's own (`mixed_site`): an argument called `msg` does not hide ours.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, GenericParam, Lit, Meta};

use crate::message::{Argument, Message, Reply};
use crate::parse::Actor;

/// Everything beside the user's `impl`.
pub(crate) fn expand(actor: &Actor) -> TokenStream {
    let items = [check(actor), messages(actor), handler(actor), extension(actor)];
    quote!(#(#items)*)
}

/// The enum.
fn messages(actor: &Actor) -> TokenStream {
    let Actor { vis, msg, name, attributes, .. } = actor;
    let (generics, _, bounds) = actor.parameters.split_for_impl();
    let doc = format!(" What a [`{name}`] can be told and asked.");
    let variants = actor.messages.iter().map(|message| {
        let Message { cfgs, variant, .. } = message;
        let docs = docs(actor, message);
        let fields = message.fields().map(|field| {
            let doc = format!(" The argument `{}`.", field.name);
            let (name, ty) = (&field.name, &field.ty);
            quote!(#[doc = #doc] #name: #ty,)
        });
        let reply =
            reply_type(actor, message).map(|ty| quote!(#[doc = " Where the reply goes."] reply: #ty,));
        let fields = fields.chain(reply).collect::<TokenStream>();
        let fields = if fields.is_empty() { fields } else { quote!({ #fields }) };
        quote!(#(#cfgs)* #docs #variant #fields,)
    });
    quote! {
        #(#attributes)*
        #[doc = #doc]
        #vis enum #msg #generics #bounds {
            #(#variants)*
        }
    }
}

/// The `impl Actor`.
fn handler(actor: &Actor) -> TokenStream {
    let Actor { root, ty, hooks, attributes, .. } = actor;
    let (generics, _, bounds) = actor.generics.split_for_impl();
    let message_type = message_type(actor, actor.name.span());
    let message = local("msg");
    let is_used = actor.messages.iter().any(Message::takes_context);
    let context = local(if is_used { "ctx" } else { "_ctx" });
    let arms = actor.messages.iter().map(|message| arm(actor, message, &context));
    // Where mistakes leave no message, nothing comes after the match.
    let done = (!actor.messages.is_empty()).then(|| quote!(::core::result::Result::Ok(())));
    quote! {
        #(#attributes)*
        impl #generics #root::Actor for #ty #bounds {
            type Msg = #message_type;

            async fn receive(
                &mut self,
                #message: Self::Msg,
                #context: &mut #root::Context<Self>,
            ) -> ::core::result::Result<(), #root::Failure> {
                match #message {
                    #(#arms)*
                }
                #done
            }

            #(#hooks)*
        }
    }
}

/// What is done about one message.
fn arm(actor: &Actor, message: &Message, context: &Ident) -> TokenStream {
    let Message { cfgs, method, .. } = message;
    let arguments = message.arguments.iter().map(|argument| match argument {
        Argument::Context => context,
        Argument::Field(field) => &field.name,
    });
    // Where the error of the method is no `Failure`, rustc points at what the method returns.
    let place = message.place.resolved_at(Span::call_site());
    let waits = message.is_async.then(|| quote_spanned!(place=> .await));
    let fails = message.fails.then(|| quote_spanned!(place=> ?));
    let call = quote_spanned!(place=> Self::#method(self, #(#arguments),*) #waits #fails);
    let done = match &message.reply {
        None => quote!(#call,),
        Some(Reply::Plain(None)) => quote!({ #call; reply.send(()); }),
        Some(_) => quote!(reply.send(#call),),
    };
    let pattern = value(&actor.msg, message);
    quote!(#(#cfgs)* #pattern => #done)
}

/// The trait, and its `impl` for references.
fn extension(actor: &Actor) -> TokenStream {
    let Actor { root, vis, ext, name, attributes, .. } = actor;
    let (generics, arguments, bounds) = actor.parameters.split_for_impl();
    let message_type = message_type(actor, Span::call_site());
    let doc = format!(" The messages of a [`{name}`] as methods of a reference to it.");
    let names = actor.parameters.params.iter().map(|parameter| match parameter {
        GenericParam::Type(parameter) => &parameter.ident,
        GenericParam::Const(parameter) => &parameter.ident,
        GenericParam::Lifetime(parameter) => &parameter.lifetime.ident, // refused before
    });
    // In the trait, `Self` is a parameter like any other; in the `impl` it is a type.
    let (in_impl, in_trait) = (quote!(#(#names),*), std::iter::once(quote!(Self)));
    let in_trait = in_trait.chain((!in_impl.is_empty()).then(|| in_impl.clone()));
    let in_trait = quote!(#(#in_trait),*);
    let declared = actor.messages.iter().map(|message| {
        let (cfgs, docs) = (&message.cfgs, docs(actor, message));
        let errors = if message.reply.is_some() { ERRORS_OF_ASK } else { ERRORS_OF_TELL };
        let errors = errors.iter().map(|line| quote!(#[doc = #line]));
        let signature = signature(actor, message, &in_trait);
        quote!(#(#cfgs)* #docs #(#errors)* #signature;)
    });
    let defined = actor.messages.iter().map(|message| {
        let cfgs = &message.cfgs;
        let signature = signature(actor, message, &in_impl);
        let value = value(&actor.msg, message);
        let body = match &message.reply {
            None => quote!(#root::ActorRef::tell(self, #value)),
            Some(Reply::Result { .. }) => quote!(#root::ActorRef::try_ask(self, move |reply| #value)),
            Some(Reply::Plain(_)) => quote!(#root::ActorRef::ask(self, move |reply| #value)),
        };
        quote!(#(#cfgs)* #signature { #body })
    });
    quote! {
        #(#attributes)*
        #[doc = #doc]
        #[allow(dead_code, reason = "messages may also be sent by `tell` and `ask`, or not at all")]
        #vis trait #ext #generics #bounds {
            #(#declared)*
        }

        #(#attributes)*
        impl #generics #ext #arguments for #root::ActorRef<#message_type> #bounds {
            #(#defined)*
        }
    }
}

const ERRORS_OF_TELL: &[&str] = &[
    "",
    " # Errors",
    "",
    " As `ActorRef::tell`: the message comes back when the mailbox is full or the actor has stopped.",
];

const ERRORS_OF_ASK: &[&str] = &[
    "",
    " # Errors",
    "",
    " Awaited, an `AskError` says why there is no reply, and whether the actor acted.",
];

/// `captured` are the parameters that the question may hold on to: not the reference it was asked through.
fn signature(actor: &Actor, message: &Message, captured: &TokenStream) -> TokenStream {
    let root = &actor.root;
    let method = &message.method;
    let arguments = message.fields().map(|field| {
        let (name, ty) = (&field.name, &field.ty);
        quote!(#name: #ty)
    });
    let message_type = message_type(actor, Span::call_site());
    let make = reply_type(actor, message)
        .map(|reply| quote!(impl ::core::ops::FnOnce(#reply) -> #message_type + ::core::marker::Send + use<#captured>));
    let output = match &message.reply {
        None => quote!(::core::result::Result<(), #root::Undelivered<#message_type>>),
        Some(Reply::Plain(None)) => quote!(#root::Ask<#message_type, (), #make>),
        Some(Reply::Plain(Some(ty))) => quote!(#root::Ask<#message_type, #ty, #make>),
        Some(Reply::Result { ok, err }) => {
            quote!(#root::TryAsk<#message_type, #ok, #err, #make>)
        }
    };
    quote!(fn #method(&self, #(#arguments),*) -> #output)
}

fn reply_type(actor: &Actor, message: &Message) -> Option<TokenStream> {
    let root = &actor.root;
    Some(match message.reply.as_ref()? {
        Reply::Plain(None) => quote!(#root::ReplyTo<()>),
        Reply::Plain(Some(ty)) => quote!(#root::ReplyTo<#ty>),
        Reply::Result { ok, err } => quote!(#root::ReplyTo<::core::result::Result<#ok, #err>>),
    })
}

/// A function that nobody calls: where a part of a message cannot travel, rustc points at its type, and does so before
/// it points at the whole enum.
fn check(actor: &Actor) -> TokenStream {
    let attributes = &actor.attributes;
    let (generics, _, bounds) = actor.parameters.split_for_impl();
    let parts = actor.messages.iter().flat_map(|message| {
        let replies = match &message.reply {
            Some(Reply::Plain(ty)) => vec![ty.as_ref()],
            Some(Reply::Result { ok, err }) => vec![Some(ok), Some(err)],
            None => vec![],
        };
        let types = message.fields().map(|field| &field.ty).chain(replies.into_iter().flatten());
        types.map(|ty| {
            let (cfgs, part) = (&message.cfgs, quote_spanned!(ty.span()=> __Part<#ty>));
            quote!(#(#cfgs)* _: #part)
        })
    });
    quote! {
        #(#attributes)*
        #[allow(dead_code, clippy::too_many_arguments, clippy::type_complexity, reason = "it is there to be checked, and never called")]
        const _: () = {
            struct __Part<T: ::core::marker::Send + 'static>(T);
            fn every_part #generics (#(#parts),*) #bounds {}
        };
    }
}

/// The variant with its fields, as a pattern and as a value.
fn value(msg: &Ident, message: &Message) -> TokenStream {
    let variant = &message.variant;
    let reply = message.reply.is_some().then(|| format_ident!("reply"));
    let names: Vec<_> = message.fields().map(|field| &field.name).chain(&reply).collect();
    if names.is_empty() { quote!(#msg::#variant) } else { quote!(#msg::#variant { #(#names),* }) }
}

fn message_type(actor: &Actor, span: Span) -> TokenStream {
    let (_, arguments, _) = actor.parameters.split_for_impl();
    let mut msg = actor.msg.clone();
    msg.set_span(span);
    quote!(#msg #arguments)
}

fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// What the user says about the method, or else which method it is. `Self` means another type where this is shown.
fn docs(actor: &Actor, message: &Message) -> TokenStream {
    if message.docs.is_empty() {
        let doc = format!(" See `{}::{}`.", actor.name, message.method);
        return quote!(#[doc = #doc]);
    }
    let name = actor.name.to_string();
    message.docs.iter().map(|doc| about(doc, &name)).collect()
}

fn about(doc: &Attribute, actor: &str) -> TokenStream {
    if let Meta::NameValue(meta) = &doc.meta
        && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &meta.value
    {
        let text = text.value().replace("Self::", &format!("{actor}::"));
        return quote_spanned!(doc.span()=> #[doc = #text]);
    }
    quote!(#doc)
}
