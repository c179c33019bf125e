//! The attribute `#[actor]`: an actor's messages, written as methods. Part of `omnitron`, whose prelude has it.

mod arguments;
mod errors;
mod expand;
mod generics;
mod message;
mod names;
mod parse;
#[cfg(test)]
mod tests;
mod types;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::arguments::Arguments;
use crate::errors::Errors;

/// Makes an actor of a type: methods become its messages.
///
/// ```
/// use omnitron::prelude::*;
///
/// #[derive(Default)]
/// struct Counter {
///     value: u64,
/// }
///
/// #[actor]
/// impl Counter {
///     #[tell]
///     fn add(&mut self, n: u64) {
///         self.value += n;
///     }
///
///     #[ask]
///     fn get(&self) -> u64 {
///         self.value
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let system = ActorSystem::start("demo").await?;
/// let counter = system.spawn("counter", Counter::default)?;
/// counter.add(5)?;
/// assert_eq!(counter.get().await?, 5);
/// system.shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// Three things are generated, all of which could be written by hand: the enum `CounterMsg` with a variant for each message, the
/// `impl Actor for Counter`, and a trait `CounterRef` with the messages as methods of `ActorRef<CounterMsg>`. In another module,
/// import the trait to call them. [What exactly](#what-is-generated) stands at the end.
///
/// # Methods
///
/// A message method takes `&mut self` or `&self`, may be `async`, and stays a method of the type. Its arguments become the fields
/// of the variant, by their names (without leading underscores). One of them may be a reference to the actor's `Context`: it is
/// recognised by the name of its type and does not travel.
///
/// | | an `Err` is | on a reference |
/// |---|---|---|
/// | `#[tell] fn add(&mut self, n: u64)` | | `counter.add(5)?` sends without waiting, as `tell` |
/// | `#[tell] fn add(&mut self, n: u64) -> Result<(), E>` | a failure | the same |
/// | `#[ask] fn get(&self) -> T` | | `counter.get().await?`, as `ask`; with a deadline `counter.get().within(limit).await?` |
/// | `#[ask] fn take(&mut self, n: u64) -> Result<T, E>` | a reply | the same, as `try_ask`: `E` comes back in `AskError::Failed` |
/// | `#[ask(plain)] fn take(&mut self, n: u64) -> R` | a reply | as `ask`: the reply is the `Result` as it is |
/// | `#[ask(fail)] fn take(&mut self, n: u64) -> Result<T, E>` | a failure | as an `#[ask]` that returns `T`; the asker of the one that failed learns that its reply is lost |
/// | `#[hook] async fn started(…)` | a failure | |
/// | without a mark | | |
///
/// A *failure* is one of the actor, and its supervision decides; `E` becomes a `Failure` as by `?`. A *result* is a type whose name
/// ends in `Result`: the macro sees how a type is written, and not what it is. A result behind another name is a plain value. An
/// `#[ask]` has to name both types of its result, so `io::Result<T>` is written out.
///
/// A hook has the name and the signature which it has in `Actor` (`started`, `signal`, `pre_restart`, `post_restart`, `stopped`), and
/// moves there. Methods without a mark, constants and types stay as they are.
///
/// `#[cfg(…)]` on a method holds for all that is made from it, its documentation goes to the variant and to the method of the
/// trait, and other attributes stay where they are. `#[cfg]` and `#[allow]` under `#[actor]` hold for everything that is generated.
///
/// # Options
///
/// `#[actor(vis = pub, msg = Orders, ext = OrdersExt, crate = omnitron_runtime)]`, each of them optional:
///
/// - `vis`: the visibility of the enum and the trait. Default: that of the most visible message method, because a macro cannot see
///   how visible the type is. Where rustc says "private type in public interface", make a method `pub` or write `vis = pub`.
/// - `msg`, `ext`: the names of the enum and of the trait. Default: the name of the type and `Msg`, `Ref`.
/// - `crate`: where the generated code finds `Actor` and its like. Default: `::omnitron`.
///
/// # What it does not do
///
/// - **Borrow.** A message outlives the call that sends it: `String`, not `&str`.
/// - **Generic methods.** A message has one type. The `impl` may have parameters and a `where`; the enum and the trait get those
///   parameters that the messages mention, and their bounds as far as these mention no others.
/// - **Names of `ActorRef`**, such as `stop`, for messages: a call would mean the method which the reference has itself.
/// - **Derives on the enum.** Who needs them, or variants of another form, writes the enum and the `impl Actor` by hand.
/// - An `async` method with `&self` is only `Send` if the actor is `Sync`. With `&mut self` it need not be.
///
/// # What is generated
///
#[doc = include_str!("../expansion.md")]
#[proc_macro_attribute]
pub fn actor(arguments: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    generated(arguments.into(), item.into()).into()
}

/// The whole macro, also outside of rustc.
fn generated(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = errors.keep(syn::parse2::<Arguments>(arguments)).unwrap_or_default();
    let parsed = parse::parse(arguments, item, &mut errors);
    let errors = errors.into_compile_errors();
    let Some((actor, block)) = parsed else { return errors.into_token_stream() };
    // What is right is generated all the same, so that one mistake is not reported all over the program.
    let generated = expand::expand(&actor);
    let quiet = errors.as_ref().map(|_| quote!(#[allow(dead_code)]));
    quote!(#quiet #block #generated #errors)
}
