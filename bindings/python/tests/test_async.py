"""The same in an event loop."""

import asyncio

import pytest

import twinchat
from conftest import Answering, wait_until


async def until(holds):
    for _ in range(6000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come about")


def test_many_are_awaited_at_once(assistant, standin):
    sessions = [assistant.create_session().session_id for _ in range(40)]

    async def all_of_them():
        return await asyncio.gather(*(assistant.asend(each, "Hi") for each in sessions))

    turns = asyncio.run(all_of_them())
    assert [turn.session_id for turn in turns] == sessions


def test_what_is_awaited_holds_no_thread(assistant, standin):
    standin.script({"hang": True, "times": 0})
    sessions = [assistant.create_session().session_id for _ in range(40)]

    async def main():
        asking = [asyncio.create_task(assistant.asend(each, "Hi")) for each in sessions]
        # More than the assistant has threads.
        await until(lambda: standin.stats()["in_flight"] == 40)
        for task in asking:
            task.cancel()
        return await asyncio.gather(*asking, return_exceptions=True)

    ends = asyncio.run(main())
    assert [type(end) for end in ends] == [asyncio.CancelledError] * 40
    wait_until(lambda: assistant.in_flight() == 0)


def test_cancelling_the_task_cancels_the_turn(assistant, session_id, standin):
    standin.script({"hang": True})

    async def main():
        asking = asyncio.create_task(assistant.asend(session_id, "Hello"))
        await until(lambda: standin.stats()["in_flight"] == 1)
        assert not asking.done()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        # It is stored by the time that the cancellation comes out.
        return assistant.history(session_id)[-1]

    assert asyncio.run(main()).status is twinchat.TurnStatus.CANCELLED
    wait_until(lambda: standin.stats()["in_flight"] == 0)
    wait_until(lambda: assistant.in_flight() == 0)


def test_errors_are_raised_where_it_is_awaited(assistant, session_id, standin):
    standin.script({"status": 503})
    with pytest.raises(twinchat.Unavailable):
        asyncio.run(assistant.asend(session_id, "Hello"))
    with pytest.raises(twinchat.NotFound):
        asyncio.run(assistant.asend("nobody", "Hello"))


def test_a_loop_that_is_closed_before_the_end_does_no_harm(assistant, session_id, standin):
    standin.script({"latency_ms": 200})
    loop = asyncio.new_event_loop()
    asking = assistant.asend(session_id, "Hello")

    async def begin():
        task = loop.create_task(asking)
        await until(lambda: standin.stats()["calls"] == 1)
        return task

    task = loop.run_until_complete(begin())
    task._log_destroy_pending = False
    loop.close()
    wait_until(
        lambda: assistant.history(session_id)[-1].status is twinchat.TurnStatus.COMPLETE
    )


def test_the_pieces_make_up_the_answer(assistant, session_id, standin):
    standin.script({"chunks": ["One ", "two ", "three"], "chunk_ms": 20})

    async def main():
        stream = assistant.astream(session_id, "Count")
        pieces = [piece async for piece in stream]
        assert [piece async for piece in stream] == []
        return pieces, stream.turn

    pieces, turn = asyncio.run(main())
    assert pieces == ["One ", "two ", "three"]
    assert turn == assistant.history(session_id)[-1]


def test_a_loop_that_is_left_stops_the_model(assistant, session_id, standin):
    standin.script({"chunks": ["word "] * 500, "chunk_ms": 20})

    async def main():
        async for _ in assistant.astream(session_id, "Go on"):
            break
        await until(
            lambda: assistant.history(session_id)[-1].status is twinchat.TurnStatus.CANCELLED
        )

    asyncio.run(main())
    wait_until(lambda: standin.stats()["aborted"] == 1)


def test_a_stream_that_is_closed_is_stored_then(assistant, session_id, standin):
    standin.script({"chunks": ["word "] * 500, "chunk_ms": 20})

    async def main():
        async with assistant.astream(session_id, "Go on") as stream:
            async for _ in stream:
                break
        return assistant.history(session_id)[-1], [piece async for piece in stream]

    turn, rest = asyncio.run(main())
    assert turn.status is twinchat.TurnStatus.CANCELLED
    assert turn.text.startswith("word ")
    assert rest == []


def test_cancelling_the_task_that_iterates_stops_the_model(assistant, session_id, standin):
    standin.script({"chunks": ["word "] * 500, "chunk_ms": 20})

    seen = []

    async def read():
        async for piece in assistant.astream(session_id, "Go on"):
            seen.append(piece)

    async def main():
        reading = asyncio.create_task(read())
        await until(lambda: seen)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(main())
    assert assistant.history(session_id)[-1].status is twinchat.TurnStatus.CANCELLED


def test_an_error_is_raised_from_the_iteration(assistant, session_id, standin):
    standin.script({"status": 503})

    async def main():
        stream = assistant.astream(session_id, "Hello")
        with pytest.raises(twinchat.Unavailable):
            await stream.__anext__()
        return [piece async for piece in stream]

    assert asyncio.run(main()) == []


def test_a_model_in_python_answers_a_loop_of_the_same_thread(store):
    with twinchat.Assistant(store, Answering(str.upper)) as assistant:
        assert (
            asyncio.run(assistant.asend("s", "hello there", create_session=True)).text
            == "HELLO THERE"
        )
