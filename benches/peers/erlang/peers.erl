%% Erlang's entry: the same workloads by processes. Called as `peers:main([Workload, Count])`; prints seconds for all
%% operations (bytes for each process in `idle`), and halts.
%%
%% A process is told by `!`, and answers `{ask, From, Ref}`. The caller of `tell-1-to-1` is the main process.
-module(peers).
-export([main/1]).

-define(LIMIT, 300000).
-define(PRODUCERS, 8).
-define(MANY, 1000).
-define(WORKERS, 60).
-define(CREATURES, 100).
-define(BATCH, 100).

main([Workload, Count]) ->
    process_flag(message_queue_data, off_heap), % thousands report to this process
    spawn(fun() -> receive after ?LIMIT -> io:format(standard_error, "not done in time~n", []), halt(1) end end),
    try run(Workload, list_to_integer(Count)) of
        {cannot, Reason} -> io:format("cannot: ~s~n", [Reason]), halt(0);
        Figure -> io:format("~w~n", [Figure]), halt(0)
    catch
        Class:Reason -> io:format(standard_error, "~p: ~p~n", [Class, Reason]), halt(1)
    end.

run("tell-1-to-1", N) -> tell(N, fun(Counter) -> send(Counter, N) end);
run("tell-1-to-1-bounded", _) -> {cannot, "has no bounded mailboxes"};
run("tell-8-to-1", N) ->
    Each = N div ?PRODUCERS,
    tell(N, fun(Counter) -> [spawn(fun() -> send(Counter, Each) end) || _ <- lists:seq(1, ?PRODUCERS)] end);
run("counting", N) -> tell(N, fun(Counter) -> spawn(fun() -> send(Counter, N) end) end);
run("ask-ping-pong", N) -> ask(N, 1, 1);
run("ask-1000-to-1", N) -> ask(N, ?MANY, 1);
run("ask-1000-to-1000", N) -> ask(N, ?MANY, ?MANY);
run("ring", N) -> ring(N);
run("big", N) -> big(N div 2 div ?MANY);
run("fork-join", N) -> fork_join(N div ?WORKERS);
run("chameneos", N) -> chameneos(N);
run("spawn", N) -> timed(fun() -> spawn_all(N) end);
run("spawn-stop", N) -> timed(fun() -> spawn_stop(N div ?BATCH) end);
run("idle", N) -> idle(N).

%% ---- what all use

timed(Work) ->
    Start = erlang:monotonic_time(nanosecond),
    Work(),
    (erlang:monotonic_time(nanosecond) - Start) / 1.0e9.

%% Adds up, and says so when the sum is complete.
counter(Sum, Total, Main) ->
    receive
        {ask, From, Ref} -> From ! {Ref, Sum}, counter(Sum, Total, Main);
        N when Sum + N =:= Total -> Main ! done, counter(Total, Total, Main);
        N -> counter(Sum + N, Total, Main)
    end.

spawn_counter(Total) ->
    Main = self(),
    spawn(fun() -> counter(0, Total, Main) end).

send(_, 0) -> ok;
send(To, N) -> To ! 1, send(To, N - 1).

value(Of) ->
    Ref = make_ref(),
    Of ! {ask, self(), Ref},
    receive {Ref, Value} -> Value end.

await(_, 0) -> ok;
await(What, N) -> receive What -> await(What, N - 1) end.

%% ---- tell, counting

tell(N, Work) ->
    Counter = spawn_counter(N),
    Seconds = timed(fun() -> Work(Counter), await(done, 1) end),
    N = value(Counter),
    Seconds.

fork_join(Each) ->
    Workers = [spawn_counter(Each) || _ <- lists:seq(1, ?WORKERS)],
    Seconds = timed(fun() ->
        repeat(Each, fun() -> lists:foreach(fun(Worker) -> Worker ! 1 end, Workers) end),
        await(done, ?WORKERS)
    end),
    [Each = value(Worker) || Worker <- Workers],
    Seconds.

repeat(0, _) -> ok;
repeat(N, Work) -> Work(), repeat(N - 1, Work).

%% ---- ask

oracle(Number) ->
    receive {ask, From, Ref} -> From ! {Ref, Number}, oracle(Number) end.

ask(N, Callers, Actors) ->
    Main = self(),
    Each = N div Callers,
    Oracles = list_to_tuple([spawn(fun() -> oracle(I) end) || I <- lists:seq(1, Actors)]),
    timed(fun() ->
        [
            spawn(fun() ->
                Expected = I rem Actors + 1,
                Sum = ask_all(element(Expected, Oracles), Each, 0),
                Sum = Each * Expected,
                Main ! done
            end)
         || I <- lists:seq(0, Callers - 1)
        ],
        await(done, Callers)
    end).

ask_all(_, 0, Sum) -> Sum;
ask_all(Oracle, N, Sum) -> ask_all(Oracle, N - 1, Sum + value(Oracle)).

%% ---- ring

link(Main, Next, Handled) ->
    receive
        {next, Pid} -> Main ! ready, link(Main, Pid, Handled);
        {ask, From, Ref} -> From ! {Ref, Handled}, link(Main, Next, Handled);
        0 -> Main ! done, link(Main, Next, Handled + 1);
        Left -> Next ! Left - 1, link(Main, Next, Handled + 1)
    end.

ring(Hops) ->
    Main = self(),
    Links = [spawn(fun() -> link(Main, none, 0) end) || _ <- lists:seq(1, ?MANY)],
    [Link ! {next, Next} || {Link, Next} <- lists:zip(Links, tl(Links) ++ [hd(Links)])],
    await(ready, ?MANY),
    Seconds = timed(fun() -> hd(Links) ! Hops, await(done, 1) end),
    Handled = Hops + 1,
    Handled = lists:sum([value(Link) || Link <- Links]),
    Seconds.

%% ---- big

big(Pings) ->
    Main = self(),
    Members = [spawn(fun() -> member(Main, none, Pings, I, 0) end) || I <- lists:seq(1, ?MANY)],
    Crowd = list_to_tuple(Members),
    [Member ! {join, Crowd} || Member <- Members],
    await(ready, ?MANY),
    Seconds = timed(fun() ->
        [Member ! pong || Member <- Members],
        await(done, ?MANY)
    end),
    Handled = ?MANY * (2 * Pings + 1),
    Handled = lists:sum([value(Member) || Member <- Members]),
    Seconds.

member(Main, Crowd, Left, Random, Handled) ->
    receive
        {join, Joined} ->
            Main ! ready,
            member(Main, Joined, Left, Random, Handled);
        {ping, From} ->
            From ! pong,
            member(Main, Crowd, Left, Random, Handled + 1);
        pong when Left =:= 0 ->
            Main ! done,
            member(Main, Crowd, Left, Random, Handled + 1);
        pong ->
            %% A xorshift that fits into a small integer.
            A = Random bxor ((Random bsl 13) band 16#FFFFFFFF),
            B = A bxor (A bsr 17),
            C = B bxor ((B bsl 5) band 16#FFFFFFFF),
            element(C rem ?MANY + 1, Crowd) ! {ping, self()},
            member(Main, Crowd, Left - 1, C, Handled + 1);
        {ask, From, Ref} ->
            From ! {Ref, Handled},
            member(Main, Crowd, Left, Random, Handled)
    end.

%% ---- chameneos

complement(Colour, Colour) -> Colour;
complement(One, Other) -> 3 - One - Other.

mall(Main, _, _, Met, ?CREATURES) ->
    Main ! done,
    receive {ask, From, Ref} -> From ! {Ref, Met} end;
mall(Main, Waiting, Left, Met, Faded) ->
    receive
        {faded, By} ->
            mall(Main, Waiting, Left, Met + By, Faded + 1);
        {meet, _, Creature} when Left =:= 0 ->
            Creature ! fade,
            mall(Main, Waiting, Left, Met, Faded);
        {meet, _, Creature} when Waiting =:= none ->
            mall(Main, Creature, Left, Met, Faded);
        {meet, _, _} = Meet ->
            Waiting ! Meet,
            mall(Main, none, Left - 1, Met, Faded)
    end.

creature(Mall, Colour, Met) ->
    receive
        {meet, Colour2, Other} ->
            New = complement(Colour, Colour2),
            Other ! {change, New},
            Mall ! {meet, New, self()},
            creature(Mall, New, Met + 1);
        {change, New} ->
            Mall ! {meet, New, self()},
            creature(Mall, New, Met + 1);
        start ->
            Mall ! {meet, Colour, self()},
            creature(Mall, Colour, Met);
        fade ->
            Mall ! {faded, Met}
    end.

chameneos(Meetings) ->
    Main = self(),
    Mall = spawn(fun() -> mall(Main, none, Meetings, 0, 0) end),
    Creatures = [spawn(fun() -> creature(Mall, I rem 3, 0) end) || I <- lists:seq(1, ?CREATURES)],
    Seconds = timed(fun() ->
        [Creature ! start || Creature <- Creatures],
        await(done, 1)
    end),
    Met = 2 * Meetings,
    Met = value(Mall),
    Seconds.

%% ---- spawn

spawn_all(N) ->
    Actors = spawn_all(N, []),
    await(done, N),
    Actors.

spawn_all(0, Actors) -> Actors;
spawn_all(N, Actors) ->
    Actor = spawn_counter(1),
    Actor ! 1,
    spawn_all(N - 1, [Actor | Actors]).

spawn_stop(0) -> ok;
spawn_stop(N) ->
    Main = self(),
    [
        begin
            Actor = spawn(fun() -> mortal(Main, 0) end),
            Actor ! 1,
            Actor ! stop
        end
     || _ <- lists:seq(1, ?BATCH)
    ],
    await({gone, 1}, ?BATCH),
    spawn_stop(N - 1).

mortal(Main, Handled) ->
    receive
        stop -> Main ! {gone, Handled};
        N -> mortal(Main, Handled + N)
    end.

idle(N) ->
    erlang:garbage_collect(),
    Before = resident(),
    Actors = spawn_all(N),
    receive after 500 -> ok end,
    After = resident(),
    N = length(Actors),
    (After - Before) / N.

resident() ->
    {ok, Text} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = binary:split(Text, <<" ">>, [global]),
    binary_to_integer(Pages) * 4096.
