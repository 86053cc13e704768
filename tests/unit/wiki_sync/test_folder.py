"""A folder of pictures and its table: taken whole, or refused with everything that is wrong."""

import hashlib
import io
import pickle
import unicodedata
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image

from tests.support.paths import data_folder
from wiki_sync import FolderListing, FolderProblemsError, read_folder


def draw(folder: Path, name: str, shade: int = 100, kind: str = "JPEG") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), (shade, 10, 10)).save(path, kind)
    return path


def table(folder: Path, text: str | bytes, name: str = "names.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(
    folder: Path, path: Path | None, max_bytes: int = 10**8, max_pixels: int = 10**8
) -> list[tuple[int | None, str | None, str]]:
    with pytest.raises(FolderProblemsError) as caught:
        read_folder(folder, path, max_bytes=max_bytes, max_pixels=max_pixels)
    for problem in caught.value.problems:
        assert str(problem) in str(caught.value)
    return [(problem.line, problem.file, problem.message) for problem in caught.value.problems]


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    folder = tmp_path / "plates"
    draw(folder, "a.jpg", 1)
    draw(folder, "b.png", 2, "PNG")
    draw(folder, "deep/c.tif", 3, "TIFF")
    return folder


def test_a_table_brings_its_words_to_the_pictures(plates: Path, tmp_path: Path) -> None:
    names = table(
        tmp_path,
        "file,name,scientific_name,object_number,title,licence,artist,box,source_group\r\n"
        'b.png,"wall, brown",Lasiommata megera,RP-1,A plate,CC0,"De ""B"" Boodt","pct:10,10,40.5,40",sheet 1\r\n'
        "\r\n"
        "deep/c.tif,,,,,,,,\r\n",
    )
    listing = read_folder(plates, names)
    first, second = listing.images
    assert (first.file, first.line, first.name, first.scientific_name) == (
        "b.png",
        2,
        "wall, brown",
        "Lasiommata megera",
    )
    assert (first.object_number, first.title, first.licence) == ("RP-1", "A plate", "CC0")
    assert (first.artist, first.box, first.source_group) == ('De "B" Boodt', "pct:10,10,40.5,40", "sheet 1")
    assert (first.width, first.height, first.mime) == (40, 30, "image/png")
    assert first.sha1 == hashlib.sha1((plates / "b.png").read_bytes()).hexdigest()
    assert (second.file, second.line, second.box, second.name) == ("deep/c.tif", 4, None, "")
    assert [(warning.file, warning.message) for warning in listing.warnings] == [
        ("a.jpg", "The table has no line for this picture.")
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("file\tname\na.jpg\tred; or, dark\n", "x.tsv"),
        ("file;name\na.jpg;red\n", "x.csv"),
        ("File, Name \na.jpg,red\n", "x.csv"),
        ("\ufefffile,name\na.jpg,red\n", "x.csv"),
        ("name,filename\nred,a.jpg", "x.csv"),
        ('"file"\t"name"\r"a.jpg"\t"red"\r', "x.csv"),
    ],
)
def test_delimiter_byte_order_mark_and_spelling_do_not_matter(
    plates: Path, tmp_path: Path, text: str, name: str
) -> None:
    listing = read_folder(plates, table(tmp_path, text, name))
    assert listing.images[0].file == "a.jpg"
    assert listing.images[0].name.startswith("red")


def test_all_problems_come_at_once_with_their_lines(plates: Path, tmp_path: Path) -> None:
    (plates / "text.jpg").write_text("not a picture")
    (plates / "empty.jpg").write_bytes(b"")
    whole = io.BytesIO()
    Image.effect_noise((300, 300), 50).save(whole, "JPEG")
    (plates / "cut.jpg").write_bytes(whole.getvalue()[:2000])
    (plates / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    names = table(
        tmp_path,
        "file,name,colour,box\n"  # 1: unknown column
        "a.jpg,red,,\n"
        "a.jpg,again,,\n"  # 3: double
        "lost.jpg,x,,\n"  # 4: missing
        "A.JPG,x,,\n"  # 5: spelled in another way
        "../secret.jpg,x,,\n"  # 6: escape
        "/etc/passwd,x,,\n"  # 7: absolute
        "text.jpg,x,,\n"  # 8
        "empty.jpg,x,,\n"  # 9
        "cut.jpg,x,,\n"  # 10
        "drawing.svg,x,,\n"  # 11
        ",x,,\n"  # 12: no file
        "b.png,x,,,extra\n"  # 13: too many cells
        'deep/c.tif,"two\nlines",,"pct:90,0,20,10"\n',  # 14: box outside, over two lines
    )
    found = problems(plates, names)
    assert [line for line, _, _ in found] == [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
    words = {line: message for line, _, message in found}
    assert "colour" in words[1]
    assert "line 2" in words[3]
    assert "no such file" in words[4]
    assert "a.jpg" in words[5]
    assert "leaves the folder" in words[6]
    assert "leaves the folder" in words[7]
    assert "JPEG, PNG" in words[8]
    assert "empty" in words[9]
    assert "cut off" in words[10]
    assert "SVG" in words[11]
    assert "names no file" in words[12]
    assert "5 cells" in words[13]
    assert "pct:90,0,20,10" in words[14]


def test_a_table_in_another_encoding_is_refused_with_its_line(plates: Path, tmp_path: Path) -> None:
    names = table(tmp_path, "file,name\na.jpg,red\nb.png,müsli\n".encode("latin-1"))
    ((line, _, message),) = problems(plates, names)
    assert line == 3
    assert "UTF-8" in message
    ((_, _, message),) = problems(plates, table(tmp_path, "file\na.jpg\n".encode("utf-16")))
    assert "UTF-16" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("file,name\n", "no lines"),
        ("name\nred\n", "no column “file”"),
        ("file,file\na.jpg,b.png\n", "more than once"),
        ('file,name\na.jpg,"never closed\n', "cannot be read on"),
        ("file,name\na.jpg,\x00\nlost.jpg,x\n", "lost.jpg"),
    ],
)
def test_tables_of_a_wrong_form_are_refused_in_words(plates: Path, tmp_path: Path, text: str, words: str) -> None:
    found = problems(plates, table(tmp_path, text))
    assert any(words in f"{file} {message}" for _, file, message in found)


def test_without_a_table_all_pictures_of_the_folder_are_taken(plates: Path) -> None:
    (plates / "notes.txt").write_text("no picture")
    (plates / ".hidden.jpg").write_text("no picture")
    (plates / "drawing.svg").write_text("<svg/>")
    seen: list[tuple[int, int | None]] = []
    listing = read_folder(plates, on_progress=lambda done, total: seen.append((done, total)))
    assert [image.file for image in listing.images] == ["a.jpg", "b.png", "deep/c.tif"]
    assert [warning.file for warning in listing.warnings] == ["drawing.svg"]
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_folder_without_pictures_or_no_folder_at_all_is_refused(tmp_path: Path) -> None:
    assert "no picture" in problems(tmp_path, None)[0][2]
    assert "no such folder" in problems(tmp_path / "nowhere", None)[0][2]
    assert "cannot be opened" in problems(tmp_path, tmp_path / "no.csv")[0][2]


def test_enormous_pictures_are_refused(plates: Path) -> None:
    assert all("million" in message for _, _, message in problems(plates, None, max_pixels=100))
    assert all("limit" in message for _, _, message in problems(plates, None, max_bytes=100))


def test_a_link_out_of_the_folder_is_not_followed(plates: Path, tmp_path: Path) -> None:
    outside = draw(tmp_path, "outside.jpg", 9)
    (plates / "link.jpg").symlink_to(outside)
    found = problems(plates, table(tmp_path, "file\nlink.jpg\n"))
    assert "outside the folder" in found[0][2]


@pytest.mark.parametrize(("on_disk", "in_table"), [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")])
def test_an_accent_may_be_written_in_two_ways(
    plates: Path, tmp_path: Path, on_disk: Literal["NFC", "NFD"], in_table: Literal["NFC", "NFD"]
) -> None:
    draw(plates, unicodedata.normalize(on_disk, "mésange.jpg"), 4)
    listing = read_folder(plates, table(tmp_path, unicodedata.normalize(in_table, "file\nmésange.jpg\n")))
    assert listing.images[0].file == unicodedata.normalize("NFC", "mésange.jpg")
    assert {warning.file for warning in listing.warnings} == {"a.jpg", "b.png", "deep/c.tif"}


def test_the_same_picture_twice_is_worth_a_warning(plates: Path) -> None:
    (plates / "z.jpg").write_bytes((plates / "a.jpg").read_bytes())
    listing = read_folder(plates)
    assert [(w.file, w.message) for w in listing.warnings] == [("z.jpg", "This is the same picture as a.jpg.")]


def test_the_error_survives_the_way_out_of_a_child_process(plates: Path, tmp_path: Path) -> None:
    with pytest.raises(FolderProblemsError) as caught:
        read_folder(plates, table(tmp_path, "file\nlost.jpg\n"))
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


def test_the_labels_of_real_plates_can_be_read(tmp_path: Path) -> None:
    folder = data_folder() / "plates" / "familiar_trees"
    chosen = sorted(path.name for path in folder.glob("*.jpg"))[:6]
    names = table(tmp_path, "file,name\n" + "".join(f'"{name}","{Path(name).stem}"\n' for name in chosen))
    listing: FolderListing = read_folder(folder, names)
    assert [image.file for image in listing.images] == chosen
