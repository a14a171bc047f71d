"""Every text that the web app shows, in English and Chinese.

``say("chat.new", "zh")`` returns one; ``explain(error, "zh")`` returns an error as a person reads it. A text's
placeholders have the same names in both languages, which a test keeps so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from app.account_texts import ACCOUNT_TEXTS
from app.administration_texts import ADMINISTRATION_TEXTS
from app.attachment_texts import ATTACHMENT_TEXTS
from app.chat_texts import CHAT_TEXTS
from app.error_texts import ERROR_TEXTS
from app.quality_texts import QUALITY_TEXTS
from core.errors import CitadelError, QuotaReached, printable
from core.records import Language

LANGUAGES: tuple[Language, ...] = ("en", "zh")


class Text(NamedTuple):
    """One text in each language."""

    en: str
    zh: str


TEXTS: Mapping[str, Text] = {
    "app.name": Text("Citadel", "Citadel"),
    "app.title": Text("Citadel: chat with your documents", "Citadel：与您的文档对话"),
    "app.other_language": Text("中文", "English"),
    "app.switch_language": Text("Switch to Chinese", "切换到英文"),
    "app.switch_theme": Text("Switch between light and dark", "切换浅色与深色"),
    "app.status": Text("{n} documents", "{n} 个文档"),
    "app.status_one": Text("1 document", "1 个文档"),
    "app.unreachable": Text(
        "The server does not answer. Check that Citadel is running, then reload.",
        "服务器没有响应。请确认 Citadel 正在运行，然后重新加载。",
    ),
    "app.lost": Text("The server does not answer. Trying again…", "服务器没有响应，正在重试……"),
    "tab.chat": Text("Chat", "对话"),
    "tab.documents": Text("Documents", "文档"),
    "chat.log": Text("Conversation", "对话内容"),
    "chat.placeholder": Text("Ask your documents…", "向您的文档提问……"),
    "chat.question": Text("Question", "问题"),
    "chat.hint": Text(
        "Enter sends, Shift+Enter starts a new line. Check what matters: every sentence shows its source.",
        "按 Enter 发送，Shift+Enter 换行。重要内容请核对：每句话都附有出处。",
    ),
    "chat.send": Text("Send", "发送"),
    "chat.stop": Text("Stop", "停止"),
    "chat.new": Text("New conversation", "新对话"),
    "chat.scope": Text("Search in", "检索范围"),
    "chat.scope_all": Text("All collections", "全部文档集"),
    "chat.hello": Text("What would you like to know?", "您想了解什么？"),
    "chat.hello_more": Text(
        "Answers come from your {documents} only, and each sentence shows the passage behind it.",
        "答案只来自您的 {documents}，每句话都标明依据的原文。",
    ),
    "chat.hello_empty": Text("Add your first documents", "添加您的第一批文档"),
    "chat.hello_empty_more": Text(
        "Then ask about them here. Nothing leaves this machine.", "然后就可以在这里提问。任何内容都不会离开本机。"
    ),
    "chat.hello_nothing": Text("Nothing is shared with you yet", "还没有共享给您的文档"),
    "chat.hello_nothing_more": Text(
        "Ask an administrator, or the owner of a collection, for the right to read.",
        "请联系管理员或文档集的所有者开通阅读权限。",
    ),
    "chat.go_documents": Text("Add documents", "添加文档"),
    "chat.examples": Text("Examples", "示例问题"),
    "chat.example_about": Text("What does “{title}” say?", "《{title}》讲了什么？"),
    "chat.you": Text("You", "您"),
    "chat.citadel": Text("Citadel", "Citadel"),
    "chat.busy": Text("An answer is still being written. Stop it first.", "上一个回答仍在生成，请先停止。"),
    "chat.regenerate": Text("Ask again", "重新回答"),
    "chat.copy": Text("Copy", "复制"),
    "chat.copied": Text("Copied", "已复制"),
    "chat.stopped": Text(
        "Stopped. What is above was not checked against your documents.", "已停止。以上内容未经核对。"
    ),
    "chat.stopped_empty": Text("Stopped before anything was written.", "已在生成内容之前停止。"),
    "chat.cut_off": Text(
        "Cut off when the server ended. What is above was not checked against your documents.",
        "服务器中断，回答不完整。以上内容未经核对。",
    ),
    "chat.cut_off_empty": Text(
        "Cut off when the server ended, before anything was written.", "服务器中断，尚未生成内容。"
    ),
    "stage.waiting": Text("In line, number {n}", "排队中，第 {n} 位"),
    "stage.waiting_one": Text("In line, next to be answered", "排队中，下一个就是您"),
    "stage.searching": Text("Searching your documents", "正在检索文档"),
    "stage.reading": Text("Reading {n} passages", "正在阅读 {n} 段原文"),
    "stage.reading_one": Text("Reading 1 passage", "正在阅读 1 段原文"),
    "answer.unsupported": Text("No passage supports this", "没有原文支持这句话"),
    "answer.unsupported_note": Text("Dashed: no passage supports this.", "虚线：没有原文支持。"),
    "answer.sources": Text("Sources", "出处"),
    "answer.closest": Text("Closest passages", "最接近的原文"),
    "answer.open": Text("Show passage {number}: {source}", "查看原文 {number}：{source}"),
    "answer.quotes": Text("quoted from your documents", "引自您的文档"),
    "answer.reader": Text("found in your documents", "摘自您的文档"),
    "answer.times": Text("first text {first}, done {total}", "首字 {first}，完成 {total}"),
    "time.seconds": Text("{n} s", "{n} 秒"),
    "time.minutes": Text("{n} min", "{n} 分钟"),
    "place.page": Text("page {n}", "第 {n} 页"),
    "place.pages": Text("pages {first} to {last}", "第 {first} 至 {last} 页"),
    "place.slide": Text("slide {n}", "第 {n} 张幻灯片"),
    "place.sheet": Text("sheet {name}", "工作表 {name}"),
    "place.row": Text("row {n}", "第 {n} 行"),
    "place.rows": Text("rows {first} to {last}", "第 {first} 至 {last} 行"),
    "source.pane": Text("Source", "原文"),
    "source.close": Text("Close source", "关闭原文"),
    "source.previous": Text("Previous citation", "上一处引用"),
    "source.next": Text("Next citation", "下一处引用"),
    "source.loading": Text("Opening the passage", "正在打开原文"),
    "source.quote": Text("Quoted passage", "引用的原文"),
    "source.page_picture": Text("{source}, {place}, with the passage highlighted", "{source}，{place}，引用处已高亮"),
    "source.no_picture": Text(
        "The page cannot be shown as a picture: the file has moved or changed since it was read.",
        "无法显示页面图片：文件在读取之后被移动或修改。",
    ),
    "source.forgotten": Text(
        "This answer is no longer in memory. Ask again to see its sources.",
        "该回答已不在内存中。请重新提问以查看出处。",
    ),
    "source.deleted": Text("This document has been deleted.", "该文档已被删除。"),
    "source.replaced": Text(
        "This document has been replaced since the answer was written. Ask again.",
        "该文档在回答之后已被更新。请重新提问。",
    ),
    "docs.add": Text("Add documents", "添加文档"),
    "docs.upload": Text("Files", "文件"),
    "docs.drop": Text("Choose files, or drop them here", "点击选择文件，或拖到这里"),
    "docs.upload_limit": Text("Up to {n}\u00a0MB each", "每个文件最大 {n}\u00a0MB"),
    "docs.folder": Text("Folder on this machine", "本机文件夹"),
    "docs.folder_placeholder": Text("Path of a folder or file", "文件夹或文件的路径"),
    "docs.folder_read": Text("Read folder", "读取文件夹"),
    "docs.more_refused": Text("{n} more files were not taken.", "另有 {n} 个文件未被接收。"),
    "docs.folder_remote": Text(
        "Folders are read only when Citadel listens on this machine alone.", "仅当 Citadel 只监听本机时才能读取文件夹。"
    ),
    "docs.into": Text("Into collection", "存入文档集"),
    "docs.into_hint": Text("Choose one, or type a new name", "选择一个，或输入新名称"),
    "docs.list": Text("Documents", "文档列表"),
    "docs.collection": Text("Collection", "文档集"),
    "docs.filter": Text("Filter", "筛选"),
    "docs.filter_placeholder": Text("Filter by name or title", "按名称或标题筛选"),
    "docs.name": Text("Name", "名称"),
    "docs.type": Text("Type", "类型"),
    "docs.pages": Text("Pages", "页数"),
    "docs.chunks": Text("Passages", "段落"),
    "docs.language": Text("Language", "语言"),
    "docs.added": Text("Added", "添加时间"),
    "docs.actions": Text("Actions", "操作"),
    "docs.delete": Text("Delete", "删除"),
    "docs.delete_named": Text("Delete {name}", "删除 {name}"),
    "docs.delete_sure": Text("Delete “{name}”?", "删除“{name}”？"),
    "docs.delete_more": Text(
        "It is gone from every answer at once. A file of yours outside the knowledge base stays where it is.",
        "它会立即从所有回答中消失。知识库之外的原文件不受影响。",
    ),
    "docs.deleted": Text("Deleted {name}.", "已删除 {name}。"),
    "docs.cancel": Text("Cancel", "取消"),
    "docs.none": Text("No documents yet", "还没有文档"),
    "docs.none_more": Text("Add some above to begin.", "在上方添加文件即可开始。"),
    "docs.none_shared": Text("Documents that are shared with you appear here.", "共享给您的文档会显示在这里。"),
    "docs.none_match": Text("No document matches", "没有匹配的文档"),
    "docs.count": Text("{n} documents", "共 {n} 个文档"),
    "docs.count_one": Text("1 document", "共 1 个文档"),
    "docs.shown": Text("{shown} of {n} shown; filter to narrow the list", "显示 {shown} / {n} 个；请筛选以缩小范围"),
    "docs.bad_collection": Text(
        "Type a collection's name of at most {n} characters.", "请输入不超过 {n} 个字符的文档集名称。"
    ),
    "docs.no_folder": Text("Type the path of a folder or file.", "请输入文件夹或文件的路径。"),
    "language.en": Text("English", "英文"),
    "language.zh": Text("Chinese", "中文"),
    "job.queued": Text("Waiting", "等待中"),
    "job.scanning": Text("Looking for files", "正在查找文件"),
    "job.running": Text("Reading documents", "正在读取文档"),
    "job.finished": Text("Done", "完成"),
    "job.cancelling": Text("Cancelling after the current file", "正在取消，等待当前文件结束"),
    "job.cancelled": Text("Cancelled; what was read stays", "已取消；已读取的内容会保留"),
    "job.failed": Text("Failed", "失败"),
    "job.cancel": Text("Cancel", "取消"),
    "job.ask": Text("Ask about them", "开始提问"),
    "job.dismiss": Text("Hide", "隐藏"),
    "job.into": Text("into {collection}", "存入 {collection}"),
    "job.files": Text("{done} of {total} files", "{done} / {total} 个文件"),
    "job.chunks": Text("{n} passages", "{n} 个段落"),
    "job.chunks_one": Text("1 passage", "1 个段落"),
    "docs.n_pages": Text("{n} pages", "{n} 页"),
    "docs.n_pages_one": Text("1 page", "1 页"),
    "job.rate": Text("{n} passages/s", "每秒 {n} 个段落"),
    "job.left": Text("{time} left", "剩余 {time}"),
    "job.progress": Text("Progress of reading documents", "读取文档的进度"),
    "report.file": Text("File", "文件"),
    "report.result": Text("Result", "结果"),
    "report.waiting": Text("Waiting", "等待中"),
    "report.added": Text("Added", "已添加"),
    "report.replaced": Text("Updated", "已更新"),
    "report.unchanged": Text("Unchanged", "未变化"),
    "report.removed": Text("Removed", "已移除"),
    "report.failed": Text("Failed", "失败"),
    "report.summary": Text("{good} of {total} files are ready", "{total} 个文件中有 {good} 个可用"),
    "report.details": Text("Files", "文件明细"),
    "report.more": Text("and {n} more", "另有 {n} 个"),
    **{key: Text(*texts) for key, texts in ACCOUNT_TEXTS.items()},
    **{key: Text(*texts) for key, texts in ADMINISTRATION_TEXTS.items()},
    **{key: Text(*texts) for key, texts in ATTACHMENT_TEXTS.items()},
    **{key: Text(*texts) for key, texts in CHAT_TEXTS.items()},
    **{key: Text(*texts) for key, texts in QUALITY_TEXTS.items()},
}


def say(key: str, language: Language, /, **values: object) -> str:
    """Return a text with its placeholders filled.

    Raises:
        KeyError: There is no such text, or a placeholder has no value.
    """
    text = getattr(TEXTS[key], language)
    return str(text.format(**values)) if values else str(text)


def count(key: str, language: Language, n: int) -> str:
    """Return the text ``key`` for ``n`` things, or ``key`` + ``_one`` for a single one."""
    if n == 1 and f"{key}_one" in TEXTS:
        return say(f"{key}_one", language)
    return say(key, language, n=f"{n:,}")


def duration(seconds: float, language: Language, *, rough: bool = False) -> str:
    """Return a duration as people say it: whole minutes from 90 seconds on, tenths below ten seconds unless rough."""
    if seconds < 10 and not rough:
        return say("time.seconds", language, n=f"{seconds:.1f}")
    if seconds < 90:
        return say("time.seconds", language, n=f"{seconds:.0f}")
    return say("time.minutes", language, n=f"{seconds / 60:.0f}")


def explain(error: CitadelError, language: Language) -> str:
    """Return an error as a person reads it: what, where, and what to do, without a path of the server.

    English keeps the error's own words, which know the numbers; Chinese says what the error's class says, and the
    numbers of a quota.
    """
    fallback = ERROR_TEXTS[error.code]
    if language == "en":
        what, remedy = error.what or fallback.what_en, error.remedy or fallback.remedy_en
        what = what[0].upper() + what[1:] if what else ""
        said = f"{what}. {remedy[0].upper()}{remedy[1:]}." if remedy else f"{what}."
        return f"{printable(error.where)}: {said}" if error.where else said
    if isinstance(error, QuotaReached) and error.quota_mb:
        said = say("quota.numbers", language, used=f"{error.used_mb:,.1f}", quota=f"{error.quota_mb:,.0f}")
        return f"{printable(error.where)}：{said}" if error.where else said
    said = f"{fallback.what_zh}。{fallback.remedy_zh}。" if fallback.remedy_zh else f"{fallback.what_zh}。"
    return f"{printable(error.where)}：{said}" if error.where else said
