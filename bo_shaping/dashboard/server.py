"""The dashboard as an ASGI application: one address per page, picture and stream of changes."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from bo_shaping.dashboard.assets import ASSETS, asset
from bo_shaping.dashboard.events import version_of
from bo_shaping.dashboard.explorer import Explorer
from bo_shaping.dashboard.frame import problem_page
from bo_shaping.dashboard.links import Links
from bo_shaping.dashboard.pages import PICTURE_NAMES, TRIAL_PICTURE_NAMES, Pages
from bo_shaping.dashboard.picture_files import KINDS, Kind
from bo_shaping.dashboard.security import LOCAL_NAMES, Guard
from bo_shaping.dashboard.shelf import Shelf
from bo_shaping.dashboard.streams import Streams
from bo_shaping.errors import BoShapingError, StudyNotFoundError, TrialNotFoundError
from bo_shaping.text.reasons import sentence_of
from bo_shaping.views.status import STATUSES


def make_app(
    shelf: Shelf, *, token: str | None = None, explorer: Explorer | None = None, streams: Streams | None = None
) -> Guard:
    """The application.

    Args:
        shelf: The studies.
        token: Who does not carry it sees nothing; None where only this machine can ask.
        explorer: What explains texts; one of its own by default.
        streams: Those of pages that are kept up to date; for who has to end them.
    """
    pages, explorer = Pages(shelf), explorer or Explorer(shelf)
    streams = streams or Streams()

    async def page(request: Request, make: Callable[[], str]) -> Response:
        try:
            html = await run_in_threadpool(make)
        except (StudyNotFoundError, TrialNotFoundError) as error:
            return HTMLResponse(_problem(request, "Not here", sentence_of(error)), 404)
        except BoShapingError as error:
            reason = shelf.without_place(sentence_of(error))
            return HTMLResponse(_problem(request, "This study cannot be read", reason), 500)
        return HTMLResponse(html, headers={"Cache-Control": "no-store"})

    async def file(request: Request, kind: Kind, make: Callable[[], bytes]) -> Response:
        try:
            content = await run_in_threadpool(make)
        except (StudyNotFoundError, TrialNotFoundError) as error:
            return PlainTextResponse(sentence_of(error), 404)
        except BoShapingError as error:
            return PlainTextResponse(shelf.without_place(sentence_of(error)), 500)
        return _cached(request, content, KINDS[kind])

    async def studies(request: Request) -> Response:
        return await page(request, lambda: pages.studies(request.query_params.get("q", "")[:200]))

    async def study(request: Request) -> Response:
        asked = request.query_params.get("status", "")
        only = asked if asked in STATUSES else ""
        return await page(request, lambda: pages.study(request.path_params["name"], only))

    async def trial(request: Request) -> Response:
        return await page(request, lambda: pages.trial(request.path_params["name"], request.path_params["index"]))

    async def compare(request: Request) -> Response:
        return await page(request, lambda: pages.compare(request.query_params.getlist("study")))

    async def compare_picture(request: Request) -> Response:
        name, _, kind = request.path_params["file"].partition(".")
        if kind not in KINDS or name != "curves":
            return _missing(request)
        names = request.query_params.getlist("study")
        return await file(request, kind, lambda: pages.compared(names, kind))

    async def picture(request: Request) -> Response:
        name, _, kind = request.path_params["file"].partition(".")
        index = request.path_params.get("index")
        if kind not in KINDS or name not in (PICTURE_NAMES if index is None else TRIAL_PICTURE_NAMES):
            return _missing(request)
        return await file(request, kind, lambda: pages.picture(request.path_params["name"], name, kind, index))

    async def explore(request: Request) -> Response:
        if request.method == "POST":
            form = await explorer.read_form(request)
            return await page(request, lambda: explorer.answer(form))
        return await page(request, lambda: explorer.page(request.query_params))

    async def shap_plot(request: Request) -> Response:
        return explorer.shap_plot(request.path_params["number"]) or _missing(request)

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ASSETS:
            return _missing(request)
        return _cached(request, asset(name), ASSETS[name])

    async def studies_events(request: Request) -> Response:
        return streams.open(request, pages.look_at_studies)

    async def study_events(request: Request) -> Response:
        name = request.path_params["name"]
        return streams.open(request, lambda: pages.look_at_study(name))

    async def trial_events(request: Request) -> Response:
        name, index = request.path_params["name"], request.path_params["index"]
        return streams.open(request, lambda: pages.look_at_trial(name, index))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        streams.close()
        await run_in_threadpool(explorer.close)

    routes = [
        Route("/", studies),
        Route("/events", studies_events),
        Route("/compare/", compare),
        Route("/compare/{file}", compare_picture),
        Route("/explorer/", explore, methods=["GET", "POST"]),
        Route("/explorer/shap/{number:int}", shap_plot),
        Route("/static/{name}", static),
        Route("/study/{name}/", study),
        Route("/study/{name}/events", study_events),
        Route("/study/{name}/picture/{file}", picture),
        Route("/study/{name}/trial/{index:int}/", trial),
        Route("/study/{name}/trial/{index:int}/events", trial_events),
        Route("/study/{name}/trial/{index:int}/picture/{file}", picture),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: _not_found})
    return Guard(app, token, LOCAL_NAMES)


def _cached(request: Request, content: bytes, media_type: str) -> Response:
    """The content, or word that it is what the browser has."""
    tag = f'"{version_of(content)}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def _missing(request: Request) -> Response:
    return HTMLResponse(_problem(request, "Not here", "There is no such page."), 404)


async def _not_found(request: Request, error: Exception) -> Response:
    return _missing(request)


def _problem(request: Request, title: str, message: str) -> str:
    return problem_page(title, message, Links(max(request.url.path.count("/") - 1, 0)))
