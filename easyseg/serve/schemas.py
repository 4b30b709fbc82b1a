"""What requests may say and what answers hold; /openapi.json is made from these classes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from easyseg.results.backgrounds import BACKGROUNDS, BLUR_STRENGTHS
from easyseg.results.outputs import OUTPUTS


def _known_kind(kind: str) -> str:
    OUTPUTS[kind]
    return kind


def _known_effect(effect: str) -> str:
    BACKGROUNDS[effect]
    return effect


def _several(classes: Any) -> Any:
    return [classes] if isinstance(classes, (str, int)) else classes


ClassNames = Annotated[
    list[str | int],
    BeforeValidator(_several),
    Field(
        description="Names or ids of classes; several in one text with commas.",
        examples=[["person", "car"]],
        max_length=1000,
    ),
]
Kind = Annotated[str, AfterValidator(_known_kind), Field(json_schema_extra={"enum": list(OUTPUTS)})]
EffectName = Annotated[
    str, AfterValidator(_known_effect), Field(json_schema_extra={"enum": list(BACKGROUNDS)})
]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: str | None = Field(None, description="A name from /v1/models; the first by default.")


class SegmentOptions(_Options):
    """How a segmentation is shown."""

    kind: Kind | None = Field(
        None, description="What is drawn or written: overlay, or mask where JSON is accepted."
    )
    classes: ClassNames | None = Field(None, description="Only these classes.")
    alpha: float = Field(0.6, ge=0, le=1, description="Opacity of the colors in an overlay.")
    legend: bool = Field(False, description="Draws class names and percentages.")
    confidence: bool = Field(False, description="Adds confidence_mask to a JSON answer.")
    url: str | None = Field(
        None, max_length=2000, description="An https address of the image, where that is allowed."
    )


class StreamOptions(_Options):
    """What is asked for every file of a stream."""

    classes: ClassNames | None = Field(None, description="Only these classes.")
    mask: bool = Field(False, description="Adds segmentation_mask to each result.")


class SegmentBody(SegmentOptions):
    """A request as JSON."""

    image: str | None = Field(
        None, description="The bytes of a file in base64.", json_schema_extra={"format": "byte"}
    )


class BackgroundOptions(_Options):
    """What is drawn behind the classes that are kept."""

    effect: EffectName | None = Field(
        None,
        description="change (the default with a background), blur (else), color, gray, cutout.",
    )
    keep: ClassNames | None = Field(None, description="Classes that are kept; all by default.")
    strength: Annotated[str, Field(json_schema_extra={"enum": list(BLUR_STRENGTHS)})] | None = (
        Field(None, description="Of the blur; moderate by default.")
    )
    color: str | None = Field(
        None, max_length=40, description="A name, or #rrggbb.", examples=["#00ff00", "white"]
    )
    url: str | None = Field(
        None, max_length=2000, description="An https address of the image, where that is allowed."
    )


class BackgroundBody(BackgroundOptions):
    """A request as JSON."""

    image: str | None = Field(
        None, description="The bytes of a file in base64.", json_schema_extra={"format": "byte"}
    )
    background: str | None = Field(
        None, description="The new background, likewise.", json_schema_extra={"format": "byte"}
    )


class ImageSize(BaseModel):
    """Pixels."""

    width: int
    height: int


class ClassArea(BaseModel):
    """A class that occurs in the image."""

    id: int
    name: str
    color: tuple[int, int, int] = Field(description="RGB")
    ratio: float = Field(description="Fraction of the image, 0 to 1.")
    pixels: int


class SegmentAnswer(BaseModel):
    """A segmentation; fields as in Roboflow's server, and the areas of the classes."""

    model: str
    image: ImageSize
    time: float = Field(description="Seconds from the complete request to the result.")
    segmentation_mask: str | None = Field(
        None, description="A PNG in base64, whose values are class ids."
    )
    class_map: dict[str, str] = Field(description="Names by id, of all classes.")
    present_class_ids: list[int] = Field(description="The largest area first.")
    classes: list[ClassArea] = Field(description="The largest area first.")
    confidence_mask: str | None = Field(
        None, description="A gray PNG in base64, 0 to 255 for a probability of 0 to 1."
    )
    visualization: str | None = Field(
        None, description="The drawn kind as a PNG in base64; of the kind mask none."
    )


class BackgroundAnswer(BaseModel):
    """An image on its new background."""

    model: str
    image: ImageSize
    time: float
    visualization: str = Field(description="A PNG in base64; of a cutout with transparency.")


class ClassInfo(BaseModel):
    """A class of a model."""

    id: int
    name: str
    color: tuple[int, int, int]


class ModelInfo(BaseModel):
    """A model."""

    name: str
    label_set: str
    void: int = Field(description="The id of what is of no interest.")
    input_size: tuple[int, int] = Field(description="Height and width of the network's input.")
    runtime: str
    precision: str
    classes: list[ClassInfo]


class ModelList(BaseModel):
    """The models of this server."""

    default: str
    models: list[ModelInfo]


class Version(BaseModel):
    """What runs here."""

    name: str
    version: str
    docs: bool = Field(description="Whether /docs describes the web API.")


class Status(BaseModel):
    """Whether the server is as it is asked."""

    status: str


class ServerMetadata(BaseModel):
    """What the server is, by the Open Inference Protocol."""

    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    """Whether the process answers."""

    live: bool


class Ready(BaseModel):
    """Whether new work is taken."""

    ready: bool


class ModelReady(Ready):
    """Whether a model takes work."""

    name: str


class TensorInfo(BaseModel):
    """A tensor that a model takes or gives; -1 is any length."""

    name: str
    datatype: str
    shape: list[int]


class TensorModel(BaseModel):
    """A model, by the Open Inference Protocol."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorInfo]
    outputs: list[TensorInfo]


class InputTensor(BaseModel):
    """An image or several, or encoded files."""

    model_config = ConfigDict(extra="forbid")

    name: str
    datatype: Literal["UINT8", "BYTES"]
    shape: list[Annotated[int, Field(ge=1, le=1 << 20)]] = Field(min_length=1, max_length=4)
    parameters: dict[str, Any] = Field(default_factory=dict)
    data: list[Any] | None = None


class RequestedOutput(BaseModel):
    """A tensor that is wanted."""

    model_config = ConfigDict(extra="forbid")

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferRequest(BaseModel):
    """A request for inference."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, max_length=200)
    parameters: dict[str, Any] = Field(default_factory=dict)
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[RequestedOutput] | None = Field(None, max_length=2)


class OutputTensor(BaseModel):
    """A tensor that was computed."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] | None = None
    data: list[int | float] | None = None


class InferAnswer(BaseModel):
    """What inference gives."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class ProblemDocument(BaseModel):
    """An error (RFC 9457); `code` never changes, `detail` is for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str


class StreamLine(BaseModel):
    """A line of a stream: the result of a file, or why there is none."""

    index: int = Field(description="Of the file in the form, from 0.")
    filename: str
    result: SegmentAnswer | None = None
    problem: ProblemDocument | None = None
