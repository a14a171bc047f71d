"""What each error code means and what to do about it, in English and Chinese, without full stops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class ErrorText(NamedTuple):
    """What happened and what to do, in each language; a remedy may be empty only where nothing can be done."""

    what_en: str
    remedy_en: str
    what_zh: str
    remedy_zh: str


ERROR_TEXTS: Mapping[str, ErrorText] = {
    "error": ErrorText(
        "Something went wrong",
        "Try again; the server's log says more",
        "出现错误",
        "请重试；详细信息见服务器日志",
    ),
    "usage": ErrorText("This cannot be done as asked", "Check what you entered", "无法按要求执行", "请检查输入"),
    "unknown_setting": ErrorText(
        "There is no such setting",
        "`python -m app config` lists them all",
        "没有这个设置项",
        "运行 python -m app config 查看全部",
    ),
    "invalid_setting": ErrorText(
        "A setting has a value it cannot take", "Correct it and start again", "设置项的值无效", "请改正后重新启动"
    ),
    "unknown_collection": ErrorText(
        "There is no such collection", "Choose one from the list", "没有这个文档集", "请从列表中选择"
    ),
    "unknown_source": ErrorText(
        "There is no such document",
        "It may have been deleted; reload the list",
        "没有这个文档",
        "可能已被删除，请刷新列表",
    ),
    "empty_question": ErrorText(
        "The question has no words", "Type what you want to know", "问题没有内容", "请输入您想了解的内容"
    ),
    "question_too_long": ErrorText(
        "The question is too long",
        "Shorten it, or add the long text as a document and ask about it",
        "问题过长",
        "请缩短问题，或将长文本作为文档添加后再提问",
    ),
    "missing_path": ErrorText("There is no such file or folder", "Check the path", "文件或文件夹不存在", "请检查路径"),
    "port_in_use": ErrorText(
        "Another program listens on this port",
        "Choose another with --port",
        "端口已被其他程序占用",
        "请用 --port 指定其他端口",
    ),
    "malformed_input": ErrorText(
        "A line of the file is malformed",
        "Correct the line that is named",
        "文件中有一行格式错误",
        "请改正所指的那一行",
    ),
    "empty_split": ErrorText(
        "A part of the training data is empty",
        "Give more documents, or another share or seed",
        "训练数据的某一部分为空",
        "请提供更多文档，或更改比例、随机种子",
    ),
    "sign_in_needed": ErrorText("Nobody is signed in", "Sign in and try again", "尚未登录", "请登录后重试"),
    "sign_in_failed": ErrorText(
        "The name or the password is wrong", "Check both and try again", "用户名或密码错误", "请检查后重试"
    ),
    "throttled": ErrorText("Too many tries", "Wait a while, then try again", "尝试次数过多", "请稍候再试"),
    "too_many_waiting": ErrorText(
        "You have as many questions in line as may wait",
        "Wait for an answer, or stop one of them",
        "您排队中的问题已达上限",
        "请等待其中一个得到回答，或停止其中一个",
    ),
    "too_busy": ErrorText("Too many questions are in line", "Try again in a moment", "排队的问题过多", "请稍后重试"),
    "not_allowed": ErrorText(
        "You may not do this",
        "Ask an administrator, or the owner of the collection",
        "您没有此操作的权限",
        "请联系管理员或文档集的所有者",
    ),
    "invitation_spent": ErrorText(
        "This invitation cannot be used any more",
        "Ask an administrator for a new one",
        "该邀请已失效",
        "请向管理员索取新的邀请",
    ),
    "weak_password": ErrorText(
        "The password is too weak",
        "Choose at least 10 characters that are hard to guess",
        "密码强度不足",
        "请使用至少 10 个不易猜到的字符",
    ),
    "name_taken": ErrorText("This name is taken", "Choose another", "该名称已被使用", "请换一个名称"),
    "last_admin": ErrorText(
        "Nobody would be left who can administer",
        "Make another person an administrator first",
        "这样将没有管理员",
        "请先将另一位用户设为管理员",
    ),
    "unknown_person": ErrorText(
        "There is no such person or group", "Reload the list", "没有这个用户或群组", "请刷新列表"
    ),
    "unknown_conversation": ErrorText(
        "There is no such conversation",
        "It may have been deleted; reload the list",
        "没有这个对话",
        "可能已被删除，请刷新列表",
    ),
    "unknown_evaluation": ErrorText(
        "There is no such evaluation", "It may have been deleted", "没有这次评测", "它可能已被删除"
    ),
    "unknown_trial": ErrorText(
        "There is no such trial", "It may have ended or been deleted", "没有这项对比", "它可能已结束或被删除"
    ),
    "unknown_folder": ErrorText(
        "This folder is not followed",
        "It may have been removed; reload the list",
        "没有跟踪该文件夹",
        "可能已被移除，请刷新列表",
    ),
    "unknown_attachment": ErrorText(
        "There is no such file in this conversation",
        "It may have been removed; reload the page",
        "该对话中没有这个文件",
        "可能已被移除，请刷新页面",
    ),
    "too_many_attachments": ErrorText(
        "The conversation has as many files as one may have",
        "Remove one first, or begin another conversation",
        "该对话的附件数已达上限",
        "请先移除一个文件，或开始新对话",
    ),
    "upload_broken": ErrorText("The upload broke off", "Attach the file again", "上传中断", "请重新添加该文件"),
    "quota_reached": ErrorText(
        "Your uploads have reached their limit",
        "Delete documents or conversations with files, or ask an administrator",
        "您的上传空间已用完",
        "请删除文档或带附件的对话，或联系管理员",
    ),
    "already_running": ErrorText(
        "This runs already", "Wait until it has ended, or cancel it", "已有任务在运行", "请等待其结束，或先取消"
    ),
    "document": ErrorText("The file cannot be read", "Open it and save it again", "无法读取该文件", "请打开后重新保存"),
    "empty_file": ErrorText("The file is empty", "Check that it was saved whole", "文件为空", "请确认文件已完整保存"),
    "unreadable_file": ErrorText(
        "The file may not be read", "Allow Citadel's user to read it", "没有读取该文件的权限", "请授予 Citadel 读取权限"
    ),
    "file_vanished": ErrorText(
        "The file went away before it was read",
        "Add it again when it is back",
        "文件在读取之前消失",
        "请在文件恢复后重新添加",
    ),
    "file_changed": ErrorText(
        "The file changed while it was read",
        "Add it again when it is finished",
        "文件在读取过程中被修改",
        "请在修改完成后重新添加",
    ),
    "not_regular_file": ErrorText(
        "This is no regular file", "Copy its content into a file", "这不是普通文件", "请将内容复制到普通文件中"
    ),
    "link_outside": ErrorText(
        "The link leads out of the folder",
        "Add the file it leads to by its own path",
        "链接指向文件夹之外",
        "请用实际路径添加目标文件",
    ),
    "unsupported_type": ErrorText(
        "Files of this type cannot be read",
        "Save it as PDF, DOCX or text",
        "不支持这种文件类型",
        "请另存为 PDF、DOCX 或文本",
    ),
    "wrong_extension": ErrorText(
        "The content is of another type than the name says",
        "Give the file its right ending",
        "文件内容与扩展名不符",
        "请改为正确的扩展名",
    ),
    "needs_libreoffice": ErrorText(
        "Old Office files need LibreOffice, which is not installed",
        "Install LibreOffice, or save the file as DOCX, PPTX or XLSX",
        "旧版 Office 文件需要 LibreOffice，但尚未安装",
        "请安装 LibreOffice，或另存为 DOCX、PPTX 或 XLSX",
    ),
    "encrypted": ErrorText(
        "The document asks for a password", "Save a copy without a password", "文档有密码保护", "请另存一份无密码的副本"
    ),
    "damaged": ErrorText(
        "The document is truncated or damaged",
        "Fetch it again, or open and save it",
        "文档被截断或已损坏",
        "请重新获取，或打开后另存",
    ),
    "no_text": ErrorText(
        "The document holds no text that can be read",
        "Scan it again at a higher resolution",
        "文档中没有可识别的文字",
        "请以更高分辨率重新扫描",
    ),
    "file_too_large": ErrorText(
        "The file is larger than the limit",
        "Split it, or raise ingest.max_file_mb",
        "文件超过大小限制",
        "请拆分文件，或调高 ingest.max_file_mb",
    ),
    "bomb_suspected": ErrorText(
        "The file would unpack to more than the limit",
        "Check where it comes from; raise ingest.max_unpacked_mb if you trust it",
        "文件解压后会超过限制",
        "请确认来源；若可信，请调高 ingest.max_unpacked_mb",
    ),
    "parse_timeout": ErrorText(
        "The file took too long to read",
        "Split it, or raise ingest.parse_seconds",
        "读取文件超时",
        "请拆分文件，或调高 ingest.parse_seconds",
    ),
    "parse_memory": ErrorText(
        "The file took too much memory to read",
        "Split it, or raise ingest.parse_memory_mb",
        "读取文件占用内存过多",
        "请拆分文件，或调高 ingest.parse_memory_mb",
    ),
    "parser_crashed": ErrorText(
        "The reader of this file type broke off",
        "Open the file and save it again",
        "读取程序意外中断",
        "请打开文件后重新保存",
    ),
    "model": ErrorText("The model cannot be used", "See the server's log", "模型无法使用", "请查看服务器日志"),
    "model_missing": ErrorText(
        "The model's files are not there", "Run `make setup`", "缺少模型文件", "请运行 make setup"
    ),
    "model_damaged": ErrorText(
        "The model's file is damaged", "Delete it and run `make setup`", "模型文件已损坏", "请删除后运行 make setup"
    ),
    "model_hash_mismatch": ErrorText(
        "The model's file is not the expected one",
        "Delete it and run `make setup`",
        "模型文件与预期不符",
        "请删除后运行 make setup",
    ),
    "model_offline": ErrorText(
        "The model has to be fetched and the network does not answer",
        "Connect once, or copy the model's files here",
        "需要获取模型，但网络没有响应",
        "请联网一次，或将模型文件复制到本机",
    ),
    "model_unfit": ErrorText(
        "The model cannot do this", "Choose another in the settings", "该模型无法完成此操作", "请在设置中选择其他模型"
    ),
    "backend_unavailable": ErrorText(
        "The program that runs the model is not there",
        "Check generator.backend in the settings",
        "运行模型的程序不可用",
        "请检查设置项 generator.backend",
    ),
    "backend_failed": ErrorText(
        "The model broke off while it wrote",
        "Ask again; the server's log says more",
        "模型在生成时中断",
        "请重新提问；详细信息见服务器日志",
    ),
    "training": ErrorText(
        "The training cannot go on",
        "The log of the run says where it stopped",
        "训练无法继续",
        "训练日志说明了停止的位置",
    ),
    "training_diverged": ErrorText(
        "The training went astray: its loss is no number",
        "Lower the learning rate and start from the last checkpoint",
        "训练发散：损失不再是数值",
        "请降低学习率，并从上一个检查点继续",
    ),
    "training_memory": ErrorText(
        "The training needs more memory than there is",
        "Lower the tokens of a batch, or the longest example",
        "训练所需的内存超过可用内存",
        "请减小每批的词元数，或缩短最长的样本",
    ),
    "training_leak": ErrorText(
        "The training data hold questions that the model is to be judged on",
        "Prepare the data again with --held-out naming those files",
        "训练数据中含有用于评测模型的问题",
        "请用 --held-out 指定评测文件后重新准备数据",
    ),
    "store": ErrorText(
        "The data directory cannot be used", "See the server's log", "数据目录无法使用", "请查看服务器日志"
    ),
    "store_locked": ErrorText(
        "Another program is writing to the knowledge base",
        "Wait until it is done",
        "另一个程序正在写入知识库",
        "请等待其完成",
    ),
    "store_damaged": ErrorText(
        "The database is damaged", "Run `python -m app verify`", "数据库已损坏", "请运行 python -m app verify"
    ),
    "store_too_new": ErrorText(
        "The database was written by a newer Citadel",
        "Update Citadel",
        "数据库由更新版本的 Citadel 写入",
        "请升级 Citadel",
    ),
    "embedder_mismatch": ErrorText(
        "The stored vectors were made by another embedder",
        "Choose that embedder again, or add the documents anew",
        "已存储的向量由其他嵌入模型生成",
        "请改回原嵌入模型，或重新添加文档",
    ),
    "disk_full": ErrorText("No room is left on the disk", "Free some space", "磁盘空间不足", "请释放空间"),
}
