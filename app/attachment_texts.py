"""What the chat says of the files of a conversation, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping

ATTACHMENT_TEXTS: Mapping[str, tuple[str, str]] = {
    "attach.add": ("Attach files", "添加附件"),
    "attach.files": ("Files of this conversation", "此对话的附件"),
    "attach.drop": ("Drop files to attach them to this conversation", "松开即可将文件添加到此对话"),
    "attach.uploading": ("Uploading", "正在上传"),
    "attach.uploading_share": ("Uploading {n}%", "正在上传 {n}%"),
    "attach.reading": ("Reading", "正在读取"),
    "attach.ready": ("Ready", "可用"),
    "attach.failed": ("Failed", "失败"),
    "attach.remove": ("Remove {name}", "移除 {name}"),
    "attach.removed": ("{name} is removed.", "已移除 {name}。"),
    "attach.is_ready": ("{name} is ready.", "{name} 已可用。"),
    "attach.is_failed": ("{name} could not be read. {why}", "无法读取 {name}。{why}"),
    "attach.only": ("Only these files", "仅检索这些文件"),
    "attach.broken": ("The upload broke off. Attach the file again.", "上传中断，请重新添加该文件。"),
    "attach.waiting": (
        "Reading {n} files; your question is asked right after",
        "正在读取 {n} 个文件，读完后即回答您的问题",
    ),
    "attach.waiting_named": (
        "Reading {name}; your question is asked right after",
        "正在读取 {name}，读完后即回答您的问题",
    ),
    "attach.not_asked": (
        "{name} could not be read, so your question was not asked. Remove the file, or ask again without it.",
        "无法读取 {name}，问题尚未提交。请移除该文件，或再次发送以忽略它。",
    ),
    "quota.numbers": (
        "Your uploads take {used} of {quota} MiB. Delete documents or conversations with files that you no longer "
        "need, or ask an administrator.",
        "您的上传已占用 {used} MiB，上限为 {quota} MiB。请删除不再需要的文档或带附件的对话，或联系管理员。",
    ),
    "people.uploads": ("Uploads", "上传"),
}
