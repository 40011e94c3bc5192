"""The doctor's own sentences in English and Chinese; the words about failures live in matrix/failures."""

from __future__ import annotations

from contextvars import ContextVar

LANGUAGES = ("en", "zh")
_language: ContextVar[str] = ContextVar("language", default="en")


def set_language(lang: str) -> None:
    """Choose the language of `text` for this run."""
    _language.set(lang)


def language() -> str:
    """Return the language in use: en or zh."""
    return _language.get()


def text(key: str, **params: object) -> str:
    """Return a sentence in the language in use, its placeholders filled; raises KeyError for an unknown key."""
    english, chinese = SENTENCES[key]
    template = chinese if language() == "zh" else english
    return template.format(**params)


SENTENCES: dict[str, tuple[str, str]] = {
    # --- choosing the target
    "python-and-venv": (
        "--python and --venv both name the environment to treat: give one of them.",
        "--python 和 --venv 都用来指定目标环境，请只给其中一个。",
    ),
    "python-missing": (
        "There is no Python at {path}. Give --python the path of an interpreter, or --venv the folder of an environment.",
        "{path} 处没有 Python。请用 --python 指定解释器路径，或用 --venv 指定虚拟环境目录。",
    ),
    "python-is-folder": (
        "{path} is a folder, not an interpreter. For the folder of an environment use --venv {path}.",
        "{path} 是目录而不是解释器。若要指定虚拟环境目录，请用 --venv {path}。",
    ),
    "venv-is-not-one": (
        "{path} is there but is no virtual environment (no {python}). Name another folder; a new one is created by `fix --apply`.",
        "{path} 已存在，但不是虚拟环境（缺少 {python}）。请换一个目录；新目录会由 `fix --apply` 创建。",
    ),
    "not-a-python": (
        "{path} did not answer as a Python interpreter: {detail}. Give --python the path of a Python 3.8 or later.",
        "{path} 没有像 Python 解释器那样应答：{detail}。请用 --python 指定 Python 3.8 或更高版本。",
    ),
    "target-silent": (
        "the interpreter {path} did not answer: {detail}",
        "解释器 {path} 没有应答：{detail}",
    ),
    "target-vanished": ("The environment {path} is gone.", "环境 {path} 已不存在。"),
    "no-answer-in": ("no answer within {seconds} s", "{seconds} 秒内没有应答"),
    "exit-status": ("exit status {code}", "退出码 {code}"),
    "unknown-set": (
        "There is no version set '{name}'. Known sets: {names}.",
        "没有名为 '{name}' 的版本组合。可用的组合：{names}。",
    ),
    "unknown-check": (
        "There is no check '{name}'. `paddlevl-doctor check --list` shows all of them.",
        "没有名为 '{name}' 的检查项。用 `paddlevl-doctor check --list` 查看全部。",
    ),
    # --- stages
    "stage-check": ("Looking at the machine", "检查本机"),
    "stage-integrity": ("Comparing every file with its RECORD", "正在将每个文件与 RECORD 比对"),
    "stage-selftest": (
        "Self-test on {device}: the real pipeline reads a chart it has never seen",
        "在 {device} 上自检：真实流水线读取一张从未见过的色块图",
    ),
    "stage-parse": ("Reading {name} with the engine '{engine}'", "用引擎 '{engine}' 读取 {name}"),
    "stage-hub": ("Looking for the released weights", "寻找已发布的权重"),
    "stage-undo": ("Undoing transaction {number}", "撤销第 {number} 次事务"),
    # --- steps of a plan
    "step-create": (
        "Create the virtual environment {path} with {python}",
        "用 {python} 创建虚拟环境 {path}",
    ),
    "step-create-before": ("{path} does not exist yet", "{path} 尚不存在"),
    "step-create-undo": ("remove {path}, which this step created", "删除由本步骤创建的 {path}"),
    "step-remove": (
        "REMOVE {names}: it would collide with the right wheel",
        "移除 {names}：它会与正确的 wheel 冲突",
    ),
    "step-set-aside": (
        "Move the incomplete {names} out of the model cache, so that it is downloaded again",
        "将不完整的 {names} 移出模型缓存，以便重新下载",
    ),
    "step-set-aside-before": (
        "nothing has written into the folder for some minutes",
        "该目录在几分钟内没有写入",
    ),
    "step-set-aside-undo": ("move the folder back", "把目录移回原处"),
    "aside": ("kept in {path} until you delete it", "保留在 {path}，由你自行删除"),
    "model-busy": (
        "{path} was written to {seconds} s ago: a download may be going on. Try again {limit} minutes after it ended.",
        "{path} 在 {seconds} 秒前还有写入，可能正在下载。请在其结束 {limit} 分钟后再试。",
    ),
    "model-came-back": (
        "{path} was downloaded again since. Delete it to have the former folder back, or keep it and delete {aside}.",
        "{path} 此后已重新下载。若要恢复原目录请先删除它；若保留它，则可删除 {aside}。",
    ),
    "step-share": (
        "Store the layout model once ({size_mb} MB less): equal files become hard links",
        "版面模型只存一份（节省 {size_mb} MB）：相同的文件改为硬链接",
    ),
    "step-share-before": ("only files that are equal byte by byte are linked", "只链接逐字节相同的文件"),
    "step-share-undo": ("make the files copies of their own again", "恢复为各自独立的文件"),
    "step-write": ("Write {path}", "写入 {path}"),
    "step-write-before": ("the file is as it was when this plan was made", "该文件与制定方案时一致"),
    "step-write-undo": ("put the former file back, or remove this one", "恢复原文件，或删除新写入的文件"),
    "step-environment": ("Write the variables to start with into {path}", "将启动所需的环境变量写入 {path}"),
    "environment-how": ("in every new shell: {command}", "在每个新的终端中执行：{command}"),
    "environment-how-powershell": (
        "in every new PowerShell: {command} (where scripts are not allowed, before it: "
        "Set-ExecutionPolicy -Scope Process RemoteSigned)",
        "在每个新的 PowerShell 中执行：{command}（如果系统禁止运行脚本，请先执行："
        "Set-ExecutionPolicy -Scope Process RemoteSigned）",
    ),
    "file-in-the-way": (
        "{path} cannot be written: its folder is missing, or something that is no file is in its place.",
        "无法写入 {path}：目录不存在，或该位置不是普通文件。",
    ),
    "again": ("installed again", "重新安装"),
    "step-clear": (
        "Clear away {count} leftovers of killed installers",
        "清走被中断的安装程序留下的 {count} 项残留",
    ),
    "step-clear-before": ("there: {names}", "存在：{names}"),
    "step-clear-undo": ("put the leftovers back", "放回这些残留"),
    "step-remove-before": ("installed: {names}", "已安装：{names}"),
    "step-install": ("Install {names}", "安装 {names}"),
    "step-install-before": (
        "{count} distributions are installed, and still the same ones",
        "已安装 {count} 个包，且未发生变化",
    ),
    "step-packages-undo": (
        "put back the former files byte for byte, offline",
        "离线逐字节恢复原有文件",
    ),
    "step-patch": ("Patch: {title}", "补丁：{title}"),
    "step-patch-before": (
        "{files} is exactly the published file (SHA-256)",
        "{files} 与发布的文件完全一致（SHA-256）",
    ),
    "step-patch-undo": ("put the published file back", "恢复发布的原文件"),
    "step-link": ("Link {path} to the target's pipeline files", "将 {path} 链接到目标环境的流水线配置"),
    "step-link-before": ("there is nothing at {path}", "{path} 处没有任何文件"),
    "step-link-undo": ("remove the link {path}", "删除链接 {path}"),
    "skip-asked": ("you asked to skip it", "按要求跳过"),
    "skip-not-in-only": ("not among what --only names", "不在 --only 指定的范围内"),
    "skip-unfit": (
        "its patch does not fit the files that are here, or is not needed: `paddlevl-doctor patches status` shows them",
        "其补丁与现有文件不符或并不需要：可用 `paddlevl-doctor patches status` 查看",
    ),
    "skip-removal": (
        "its cure removes {names}. If that is what you want: paddlevl-doctor fix --apply --only {id} (or --yes)",
        "修复需要移除 {names}。如确实需要：paddlevl-doctor fix --apply --only {id}（或加 --yes）",
    ),
    "skip-offered": (
        "its patch is applied only when asked for: `paddlevl-doctor fix --apply --only {id}`",
        "其补丁只在明确要求时才应用：`paddlevl-doctor fix --apply --only {id}`",
    ),
    "skip-manual": ("cannot be done for you: {remedy}", "无法代为完成：{remedy}"),
    # --- applying and undoing
    "needed-by": ("for {names}", "{names} 需要"),
    "collateral": (
        "Nothing was changed: uv would downgrade or remove packages that no cure asked for: {changes}. "
        "If that is what you want, say --yes; else use a new environment: fix --apply --venv NEW.",
        "未做任何更改：uv 会降级或移除并非修复所需的包：{changes}。如确实需要，请加 --yes；否则请使用新环境：fix --apply --venv NEW。",
    ),
    "system-and-other": (
        "--system names an interpreter already. Leave out --python and --venv, or --system.",
        "--system 已指定解释器。请去掉 --python 和 --venv，或去掉 --system。",
    ),
    "no-system-python": (
        "There is no Python on PATH outside a virtual environment. Name one: --python PATH",
        "PATH 上没有虚拟环境以外的 Python。请指定一个：--python PATH",
    ),
    "externally-managed": (
        "{path} belongs to the operating system (EXTERNALLY-MANAGED) and is not touched. "
        "Use an environment of your own: paddlevl-doctor fix --apply --venv .venv",
        "{path} 由操作系统管理（EXTERNALLY-MANAGED），不会改动。请使用自己的环境：paddlevl-doctor fix --apply --venv .venv",
    ),
    "target-locked": (
        "Another paddlevl-doctor is working on {path}: process {pid}, `{command}`, since {since}. "
        "Wait until it has finished, then try again.",
        "另一个 paddlevl-doctor 正在处理 {path}：进程 {pid}，`{command}`，开始于 {since}。请等它结束后再试。",
    ),
    "target-busy": (
        "What a stopped run started is still working on {path} ({programs}). Nothing was changed. "
        "Wait until it has ended, or end it, then try again.",
        "先前中断的运行所启动的程序仍在处理 {path}（{programs}）。未做任何更改。请等它结束或将其终止后再试。",
    ),
    "target-read-only": (
        "{path} cannot be written ({reason}). Nothing was changed. Name an environment that you may write: --venv DIR.",
        "{path} 不可写（{reason}）。未做任何更改。请指定一个可写的环境：--venv DIR。",
    ),
    "rolled-back": (
        "This step failed, and everything was put back: {step}. Reason: {reason}",
        "此步骤失败，所有更改均已恢复：{step}。原因：{reason}",
    ),
    "undo-needed": (
        "Putting things back in {path} failed: {reason}. Remove the cause, then run: paddlevl-doctor undo",
        "恢复 {path} 失败：{reason}。请排除原因后运行：paddlevl-doctor undo",
    ),
    "undo-moved": (
        "Packages in {path} were changed after this transaction: {names}. Undoing it would mix versions. "
        "Nothing was changed; --yes goes ahead all the same.",
        "此事务之后 {path} 中的包又有变化：{names}。撤销会混用版本，因此未做任何更改；加 --yes 可强制执行。",
    ),
    "file-moved": (
        "{path} was edited after it was patched, and is kept as it is. Save your edit, reinstall paddlex, then try again.",
        "{path} 在打补丁后又被修改，已原样保留。请先备份你的改动，重新安装 paddlex，然后再试。",
    ),
    "file-altered": (
        "{path} is not the file that paddlex {version} was published with (SHA-256 {sha256}), so the patch is not applied. "
        "Reinstall it first: uv pip install --reinstall-package paddlex paddlex=={version}",
        "{path} 与 paddlex {version} 发布的文件不一致（SHA-256 {sha256}），因此不打补丁。请先重新安装：uv pip install --reinstall-package paddlex paddlex=={version}",
    ),
    "patch-unknown-content": (
        "{path} is none of the published files that the patch fits; it is left alone.",
        "{path} 不是该补丁适用的任何已发布文件，未做改动。",
    ),
    "patch-outside": (
        "{path} leads out of {site}; nothing outside of the target is touched.",
        "{path} 指向 {site} 之外；目标环境之外的文件一律不改动。",
    ),
    "file-not-recorded": (
        "{path} is a published file, but not the one that the RECORD of the installed {name} promises; it is left alone.",
        "{path} 虽是发布过的文件，但与已安装的 {name} 的 RECORD 记录不符，未作改动。",
    ),
    "does-not-compile": (
        "{path} would not compile after the patch: {reason}",
        "打补丁后 {path} 无法编译：{reason}",
    ),
    "patch-proven": ("proved in the target: {saw}", "已在目标环境中验证：{saw}"),
    "patch-unproven": (
        "The patch is in place, but its proof could not run in the target: {reason}",
        "补丁已打上，但其验证程序未能在目标环境中运行：{reason}",
    ),
    "patch-without-effect": (
        "“{title}” is in place and does not help: {saw}",
        "补丁“{title}”已打上但没有效果：{saw}",
    ),
    "nothing-to-undo": (
        "Nothing to undo: {path} remembers no transaction.",
        "没有可撤销的内容：{path} 没有事务记录。",
    ),
    "recovered": (
        "An interrupted run (transaction {number}) was found and put back first.",
        "发现一次被中断的运行（第 {number} 次事务），已先行恢复。",
    ),
    "no-pipelines": ("There are no pipeline files at {path}.", "{path} 处没有流水线配置文件。"),
    "link-without-paddlex": (
        "The target has no paddlex, so there are no pipeline files to link. Install it first: paddlevl-doctor fix --apply",
        "目标环境中没有 paddlex，因此没有可链接的流水线配置。请先安装：paddlevl-doctor fix --apply",
    ),
    "link-occupied": (
        "{path} is there already and was not made by the doctor; it is not touched. Move it away, or work in another folder.",
        "{path} 已存在且不是由 doctor 创建的，不会改动。请将其移走，或换一个工作目录。",
    ),
    "no-dev-safetensors": (
        "The set {set} has no safetensors wheel of Paddle's own for this machine. Leave --dev-safetensors out: "
        "safetensors 0.7.0 and later read Paddle weights.",
        "组合 {set} 没有适用于本机的 Paddle 自制 safetensors wheel。请去掉 --dev-safetensors：safetensors 0.7.0 及以上可直接读取 Paddle 权重。",
    ),
    "page-failed": ("Page {page} could not be read: {detail}", "第 {page} 页无法读取：{detail}"),
    "page-incident": (
        "Page {page}, {rung}: {detail}",
        "第 {page} 页（{rung}）：{detail}",
    ),
    "incident-kept": ("{incident} (more in {path})", "{incident}（详见 {path}）"),
    "page-trouble": (
        "Page {page} was read, but not all of it was saved: {detail}",
        "第 {page} 页已读取，但未能全部保存：{detail}",
    ),
    "rung-first": ("first try", "首次尝试"),
    "rung-again": ("in a fresh process", "换用新进程"),
    "rung-allocator": ("with the other memory allocator", "换用另一种显存分配策略"),
    "rung-queues-off": ("without queues", "关闭队列"),
    "rung-smaller": ("at half the size", "缩小一半"),
    "rung-cpu": ("on the processor", "改用 CPU"),
    "rungs-helped": ("Pages not read on the first try: {rungs}.", "未在首次尝试中读出的页数：{rungs}。"),
    "worker-start": ("starting", "启动"),
    "worker-import": ("importing", "导入"),
    "worker-load": ("loading the models", "加载模型"),
    "worker-read": ("reading", "识别"),
    "worker-pictures": ("drawing the layout", "绘制版面"),
    "worker-join": ("joining pages", "合并页面"),
    "worker-idle": (
        "while {stage}, the process stood still for {seconds} s and was ended",
        "在{stage}时，进程停滞 {seconds} 秒，已被终止",
    ),
    "worker-slow": (
        "{stage} did not end within {seconds} s; the process was ended",
        "{stage}未能在 {seconds} 秒内完成，进程已被终止",
    ),
    "worker-died": ("the process ended ({how}): {words}", "进程已退出（{how}）：{words}"),
    "worker-killed": (
        "the process, which had {mb} MiB, was killed ({how}), as the system does where memory runs out; free some, or "
        "name fewer devices with --device: {words}",
        "进程被强制结束（{how}），通常是系统内存不足所致，当时占用 {mb} MiB；请释放内存，或用 --device 减少设备数：{words}",
    ),
    "worker-strange": (
        "the process answered something that was not asked for, and was ended: {answer}",
        "进程给出了不符合请求的应答，已被终止：{answer}",
    ),
    "newest-instead": (
        "Not all of the tested versions could be had; the newest that fit were installed.",
        "未能获得全部经过测试的版本，已改为安装符合要求的最新版本。",
    ),
    "uv-timeout": (
        "`{command}` did not finish within {minutes} minutes.",
        "`{command}` 在 {minutes} 分钟内没有完成。",
    ),
    "uv-failed": ("`{command}` failed: {reason}", "`{command}` 失败：{reason}"),
    "uv-offline": (
        "`{command}` could not reach the package index. Check the network or the proxy, or name an index that answers: "
        "--mirror URL. uv said: {reason}",
        "`{command}` 无法访问软件包索引。请检查网络或代理，或用 --mirror URL 指定可用的索引。uv 的输出：{reason}",
    ),
    "disk-too-tight": (
        "About {needed} MB are needed and {free} MB are free ({place}), so nothing was changed. Free some space, or move "
        "uv's cache (UV_CACHE_DIR).",
        "大约需要 {needed} MB，而{place}只剩 {free} MB，因此未做任何更改。请清理磁盘，或用 UV_CACHE_DIR 移动 uv 缓存。",
    ),
    "room-target": ("on the disk of the environment", "环境所在的磁盘"),
    "room-uv-cache": ("on the disk of uv's cache", "uv 缓存所在的磁盘"),
    "uv-disk-full": (
        "`{command}` ran out of disk space. Free some, or move uv's cache (UV_CACHE_DIR). uv said: {reason}",
        "`{command}` 磁盘空间不足。请清理磁盘，或用 UV_CACHE_DIR 移动 uv 缓存。uv 的输出：{reason}",
    ),
    # --- reports
    "machine": ("Machine", "本机"),
    "gpu": ("GPU", "GPU"),
    "target": ("Target", "目标环境"),
    "stack": ("Stack", "软件栈"),
    "no-target": ("none yet ({path} will be created)", "尚无（将创建 {path}）"),
    "no-target-problem": ("cannot be used: {problem}", "无法使用：{problem}"),
    "no-gpu": ("none: {reason}", "无：{reason}"),
    "gpu-no-library": ("no NVIDIA driver library (NVML) on this machine", "本机没有 NVIDIA 驱动库（NVML）"),
    "gpu-library-not-on-path": (
        "NVIDIA's library is here, but the loader does not look there: {detail}",
        "装有 NVIDIA 驱动库，但加载器未在该目录查找：{detail}",
    ),
    "gpu-library-too-old": (
        "the NVIDIA driver library is too old to be asked: {detail}",
        "NVIDIA 驱动库过旧，无法查询：{detail}",
    ),
    "gpu-driver-not-loaded": ("the NVIDIA driver is not loaded: {detail}", "NVIDIA 驱动未加载：{detail}"),
    "gpu-driver-library-mismatch": (
        "driver and library differ in version, restart the machine: {detail}",
        "驱动与库版本不一致，请重启机器：{detail}",
    ),
    "gpu-driver-of-linux-in-wsl": (
        "a Linux driver that was installed in WSL hides the one of Windows: {detail}",
        "WSL 中安装的 Linux 驱动遮住了 Windows 的驱动：{detail}",
    ),
    "gpu-no-permission": ("no permission to ask the driver: {detail}", "没有查询驱动的权限：{detail}"),
    "gpu-no-devices": ("the driver sees no GPU", "驱动没有发现 GPU"),
    "gpu-nvml-error": ("NVML failed: {detail}", "NVML 出错：{detail}"),
    "all-well": ("Nothing is wrong.", "一切正常。"),
    "counts": (
        "errors {errors}, warnings {warnings}, notes {notes}, unknown {unknown}, waiting {blocked}, right {ok} ({seconds} s)",
        "错误 {errors}，警告 {warnings}，提示 {notes}，未知 {unknown}，待定 {blocked}，正常 {ok}（{seconds} 秒）",
    ),
    "evidence": ("seen", "依据"),
    "remedy": ("cure", "解决办法"),
    "run": ("run", "运行"),
    "next-fix": (
        "Next: {command} shows what can be done for you.",
        "下一步：运行 {command} 查看可自动完成的修复。",
    ),
    "next-apply": ("Nothing was changed. To do it: {command}", "尚未做任何更改。执行修复：{command}"),
    "nothing-to-do": ("Nothing to do.", "无需任何操作。"),
    "plan": ("Plan", "计划"),
    "not-done": ("Left alone", "未处理"),
    "before": ("before", "前提"),
    "undo": ("undo", "撤销"),
    "because": ("because", "原因"),
    "applied-in": (
        "Transaction {number}. To take it back: paddlevl-doctor undo",
        "第 {number} 次事务。如需撤回：paddlevl-doctor undo",
    ),
    "undone": ("Undone: transaction {numbers}.", "已撤销：第 {numbers} 次事务。"),
    "no-transactions": ("No transaction is remembered.", "没有事务记录。"),
    "column-check": ("check", "检查项"),
    "column-looks-at": ("what it looks at", "检查内容"),
    "column-status": ("status", "状态"),
    "column-title": ("finding", "结论"),
    "column-step": ("step", "步骤"),
    "column-seconds": ("seconds", "秒"),
    "column-pipeline": ("PaddleOCR name", "PaddleOCR 名称"),
    "column-yaml": ("pipeline file in the target", "目标环境中的配置文件"),
    "column-since": ("since paddlex", "起始 paddlex 版本"),
    "status-ok": ("right", "正常"),
    "status-note": ("note", "提示"),
    "status-warning": ("warning", "警告"),
    "status-error": ("error", "错误"),
    "status-unknown": ("unknown", "未知"),
    "status-blocked": ("waiting", "待定"),
    "status-skipped": ("n/a", "不适用"),
    # --- parse
    "demo-used": (
        "There is no {name} here: the page that ships with the doctor is read.",
        "当前目录没有 {name}：改为读取随 doctor 附带的页面。",
    ),
    "engine-line": ("Engine {engine} on {device}.", "引擎 {engine}，设备 {device}。"),
    "engine-differs": ("Asked for '{requested}': {reason}", "请求的是 '{requested}'：{reason}"),
    "reader-instead": ("The embedded reader reads the page instead.", "改由内置阅读器读取。"),
    "no-reader": (
        "The embedded reader could read the page, but is not installed: pip install 'paddlevl-doctor[reader]'",
        "内置阅读器可以读取此页，但尚未安装：pip install 'paddlevl-doctor[reader]'",
    ),
    "native-broken": (
        "PaddleOCR-VL cannot run here ({id}: {title}).",
        "PaddleOCR-VL 无法在此运行（{id}：{title}）。",
    ),
    "nothing-read": ("nothing was read", "没有读到任何内容"),
    "reader-missing": (
        "The embedded reader is not installed. Install it beside the doctor: pip install 'paddlevl-doctor[reader]'",
        "未安装内置阅读器。请在 doctor 所在环境安装：pip install 'paddlevl-doctor[reader]'",
    ),
    "native-impossible": (
        "The native engine cannot run: {reason} `paddlevl-doctor check` says more, `parse --fix` cures what can be cured.",
        "native 引擎无法运行：{reason} 详情见 `paddlevl-doctor check`，`parse --fix` 可修复能修复的问题。",
    ),
    "native-no-weights": (
        "What the pipeline needs is missing in {path} ({models}), and no model hub answers.",
        "{path} 中缺少流程所需的模型（{models}），且没有模型仓库应答。",
    ),
    "native-no-version": (
        "The target's PaddleX does not know PaddleOCR-VL {version}; it knows: {known}. Update it with `paddlevl-doctor fix --set current`, or choose another one with --pipeline-version.",
        "目标环境中的 PaddleX 不支持 PaddleOCR-VL {version}，仅支持：{known}。请用 `paddlevl-doctor fix --set current` 升级，或用 --pipeline-version 另选版本。",
    ),
    "native-no-target": ("There is no environment with PaddleOCR.", "没有装好 PaddleOCR 的环境。"),
    "native-failed": ("{name} failed on {device}: {detail}", "{name} 在 {device} 上运行失败：{detail}"),
    "selftest-failed": ("The self-test failed: {detail}", "自检失败：{detail}"),
    "verdict-passed": (
        "Read well enough: {similarity} of the known text (needed: {threshold}).",
        "读取合格：与已知文本相似度 {similarity}（要求 {threshold}）。",
    ),
    "verdict-failed": (
        "Not read well enough: {similarity} of the known text (needed: {threshold}).",
        "读取不合格：与已知文本相似度 {similarity}（要求 {threshold}）。",
    ),
    "verdict-none": (
        "Not judged: no known text to compare with (give one with --expect PATH).",
        "未评判：没有可供比较的已知文本（用 --expect PATH 指定）。",
    ),
    "selftest-passed": (
        "The self-test passed: the stack reads what it has never seen.",
        "自检通过：软件栈能读出从未见过的内容。",
    ),
    "written": ("Written: {paths}", "已写入：{paths}"),
    "column-seen": ("Seen by", "发现方式"),
    "seen-quick": ("check", "check"),
    "seen-deep": ("check --deep", "check --deep"),
    "seen-log": ("explain", "explain"),
    # --- where an answer goes
    "no-such-format": (
        "This answer cannot be written as {format}. Choose one of: {names}.",
        "该结果不能写成 {format}。可选：{names}。",
    ),
    "cannot-write": (
        "{path} cannot be written: {reason}. Name another place with --output.",
        "无法写入 {path}：{reason}。请用 --output 指定其他位置。",
    ),
    "results-not-kept": (
        "{path} cannot be written: {reason}. Make room there, or name another folder with --output. "
        "Pages that are whole are kept: with --resume the same command reads the rest.",
        "无法写入 {path}：{reason}。请腾出空间，或用 --output 指定其他目录。"
        "完整的页面已保存：加上 --resume 再运行同一命令即可读取其余页面。",
    ),
    # --- failures of the doctor itself
    "interrupted": ("Interrupted. What was begun has been put back.", "已中断。已开始的更改均已恢复。"),
    "internal": (
        "The doctor itself failed. A report ready to paste into an issue is in {path}",
        "doctor 自身出错。可直接贴到 issue 的报告已写入 {path}",
    ),
    # --- explain
    "log-paste": (
        "Paste the log or the traceback, then press {end} at the beginning of a line.",
        "请粘贴日志或报错信息，然后在行首按 {end} 结束。",
    ),
    "log-none": (
        "There is no standard input to read. Name a file: paddlevl-doctor explain FILE.",
        "没有可读取的标准输入。请指定文件：paddlevl-doctor explain FILE。",
    ),
    "log-missing": (
        "There is no file {path}. Name a log, or pipe one in: some-command 2>&1 | paddlevl-doctor explain -",
        "没有文件 {path}。请指定日志文件，或用管道传入：some-command 2>&1 | paddlevl-doctor explain -",
    ),
    "log-is-folder": (
        "{path} is a folder. Name the log file in it.",
        "{path} 是目录。请指定其中的日志文件。",
    ),
    "log-unreadable": (
        "{path} cannot be read: {reason}. Name another file, or pipe the log in.",
        "无法读取 {path}：{reason}。请换一个文件，或用管道传入日志。",
    ),
    "log-empty": (
        "{path} is empty: there is nothing to explain.",
        "{path} 是空的：没有可解释的内容。",
    ),
    "stage-explain": ("Reading the log", "读取日志"),
    "applies-anywhere": ("can occur anywhere", "任何环境都可能出现"),
    "applies-system": ("occurs on {system}", "会出现在 {system} 上"),
    "applies-not-system": (
        "occurs on {systems} only, this is {system}",
        "只出现在 {systems} 上，本机是 {system}",
    ),
    "applies-no-gpu": ("needs an NVIDIA GPU, none is seen here", "需要 NVIDIA GPU，本机未检测到"),
    "applies-capability": (
        "compute capability {found}; concerned are {wanted}",
        "计算能力 {found}；受影响的是 {wanted}",
    ),
    "applies-no-target": (
        "there is no environment to compare with (name one with --python or --venv)",
        "没有可供比较的环境（用 --python 或 --venv 指定）",
    ),
    "applies-not-installed": ("not installed here: {names}", "此环境未安装：{names}"),
    "applies-not-version": (
        "{name} {version} is installed here; concerned are {wanted}",
        "此环境安装的是 {name} {version}；受影响的是 {wanted}",
    ),
    "applies-version": (
        "{name} {version} is installed here, which is concerned ({wanted})",
        "此环境安装的 {name} {version} 受影响（{wanted}）",
    ),
    "explain-root": ("root cause", "根本原因"),
    "explain-follows": ("follows from {id}", "由 {id} 引起"),
    "explain-harmless": ("harmless", "无害"),
    "explain-line": ("line {line}", "第 {line} 行"),
    "explain-times": ("{count} times", "共 {count} 次"),
    "explain-many": ("{count} times or more", "至少 {count} 次"),
    "explain-applies-yes": ("Applies here", "适用于此环境"),
    "explain-applies-no": ("Does not apply here", "不适用于此环境"),
    "explain-applies-unknown": ("Whether it applies here is not known", "不确定是否适用于此环境"),
    "explain-unknown": (
        "The doctor does not know this error. A text for an issue, ready to paste:",
        "doctor 不认识这个错误。可直接粘贴到 issue 的文字：",
    ),
    "explain-nothing": (
        "No error was found in {lines} lines.",
        "在 {lines} 行中没有发现错误。",
    ),
    "explain-counts": (
        "{lines} lines read: {known} known, {unknown} unknown ({seconds} s).",
        "已读取 {lines} 行：已知 {known} 个，未知 {unknown} 个（{seconds} 秒）。",
    ),
    "explain-heading": ("Explanation of a log", "日志解释"),
    "explain-cause": ("Cause", "原因"),
    "unknown-patch": (
        "There is no patch {name}. The patches: {names}.",
        "没有名为 {name} 的补丁。现有补丁：{names}。",
    ),
    "patches-no-target": (
        "There is no environment to look at. Name one with --python or --venv.",
        "没有可查看的环境。请用 --python 或 --venv 指定。",
    ),
    "no-patch-fits": (
        "No automatic patch is for {name} {version}. Name others with --only ID; `paddlevl-doctor patches list` shows them.",
        "没有适用于 {name} {version} 的自动补丁。可用 --only ID 指定其他补丁；`paddlevl-doctor patches list` 会列出它们。",
    ),
    "patch-does-not-fit": (
        "The patch {patch} is not for {name} {version}. Nothing was written.",
        "补丁 {patch} 不适用于 {name} {version}。没有写入任何内容。",
    ),
    "no-wheel-source": (
        "A wheel is built from an installed {name} with its RECORD, and there is none here (or it is editable).",
        "wheel 由已安装且带有 RECORD 的 {name} 构建，而此处没有（或为可编辑安装）。",
    ),
    "wheel-source-altered": (
        "{path} is not what {name} {version} was published with, so no wheel is made of it. Install it again first: `uv pip install --reinstall-package {name} {name}=={version}`.",
        "{path} 与发布的 {name} {version} 不一致，因此不会用它构建 wheel。请先重新安装：`uv pip install --reinstall-package {name} {name}=={version}`。",
    ),
    "wheel-built": ("Written: {path}", "已写入：{path}"),
    "wheel-install": ("Install it with: {command}", "安装命令：{command}"),
    "column-patch": ("Patch", "补丁"),
    "column-default": ("Default", "默认"),
    "column-what": ("What it does", "作用"),
    "column-state": ("State", "状态"),
    "patch-automatic": ("automatic", "自动"),
    "patch-offered": ("offered", "可选"),
    "state-older": ("patched by an older release of this program", "由本程序的旧版本打过补丁"),
    "patch-needed": ("still needed, but the patch does not know it", "仍然需要，但补丁不适用"),
    "patch-not-needed": ("not needed any more, upstream cured it", "上游已修复，不再需要"),
    "state-pristine": ("as published", "与发布时一致"),
    "state-patched": ("patched by us", "已打补丁"),
    "state-altered": ("altered by someone else", "被他人改动"),
    "state-missing": ("missing", "缺失"),
    "state-other-version": ("another version", "其他版本"),
    "patch-shared": ("shared by {links} directory entries", "由 {links} 个目录项共用"),
    "patch-drop-when": ("To be dropped when: {text}", "何时移除：{text}"),
    "follows-count": (
        "{count} other checks wait for this one (-v names them)",
        "另有 {count} 项检查需待此项解决（-v 可列出）",
    ),
    "follows-all": ("waiting for this: {names}", "待此项解决：{names}"),
    "report-title": ("paddlevl-doctor report", "paddlevl-doctor 报告"),
    "report-problems": ("What is wrong", "发现的问题"),
    "report-nothing": ("Nothing is wrong.", "一切正常。"),
    "report-causes": ("What follows from what", "因果关系"),
    "report-follows": ("waits for it", "待其解决"),
    "report-machine": ("Machine and stack", "本机与软件栈"),
    "report-all": ("All findings", "全部检查结果"),
    "report-evidence": ("Evidence", "依据"),
    "report-cure": ("Cure", "解决办法"),
    "report-links": ("Read more", "参考链接"),
    "report-packages": ("Packages of the target", "目标环境中的软件包"),
    "report-written": (
        "Written by paddlevl-doctor {version} in {seconds} s. No user names, host names or home folders are in it.",
        "由 paddlevl-doctor {version} 用时 {seconds} 秒生成，不含用户名、主机名和主目录。",
    ),
    "report-waits-for": ("waits for {id}", "等待 {id}"),
    "replay-alone": (
        "--replay judges a recording and nothing else: it goes without --record, --python and --venv.",
        "--replay 只评判录制文件，不能与 --record、--python 或 --venv 同用。",
    ),
    "recorded-without-deep": (
        "{path} was recorded without --deep, so there is no deep look to judge. Leave --deep out.",
        "{path} 录制时没有使用 --deep，因此没有深入检查的内容。请去掉 --deep。",
    ),
    "recording-refused": (
        "{path} is not a recording of `paddlevl-doctor check --record`: {reason}",
        "{path} 不是 `paddlevl-doctor check --record` 的录制文件：{reason}",
    ),
    "recording-nested": ("it is nested too deeply", "嵌套层次过深"),
    "recording-members": (
        "it should hold manifest.json, facts.json and perhaps deep.json, once each, and it holds: {names}",
        "应包含 manifest.json、facts.json，或另有 deep.json，各一份；实际包含：{names}",
    ),
    "recording-member-kind": (
        "{name} is a link, a folder, encrypted, or compressed in an unusual way",
        "{name} 是链接、文件夹、已加密，或使用了不常见的压缩方式",
    ),
    "recording-too-large": ("{name} is larger than {mb} MB", "{name} 超过 {mb} MB"),
    "recording-schema": (
        "its schema is {schema}, written by paddlevl-doctor {version}; a newer paddlevl-doctor may read it",
        "其格式为 {schema}，由 paddlevl-doctor {version} 写入；更新的 paddlevl-doctor 可能可以读取",
    ),
    "recording-unknown-field": ("the field {name} is not known", "未知字段 {name}"),
    "plan-names-target": (
        "A plan file names its target; it goes without --python, --venv and --set.",
        "方案文件已指明目标环境，不能与 --python、--venv 或 --set 同用。",
    ),
    "plan-alone": (
        "A plan file goes with --apply and without other choices: it holds them already.",
        "方案文件须与 --apply 一起使用，且不能再加其他选项：这些选择已在文件中。",
    ),
    "plan-schema": ("its schema is not {schema}", "其格式不是 {schema}"),
    "plan-refused": (
        "{path} is not a plan of `paddlevl-doctor fix --output`: {reason}",
        "{path} 不是 `paddlevl-doctor fix --output` 写出的方案：{reason}",
    ),
    "plan-not-applied": (
        "Nothing was changed: {count} things are not what they were when the plan was made. Make a new one.\n{differences}",
        "没有做任何更改：自生成方案以来有 {count} 处变化。请重新生成方案。\n{differences}",
    ),
    "plan-moved": ("{name}: {before} then, {after} now", "{name}：当时为 {before}，现在为 {after}"),
    "plan-step-moved": (
        "step {step}: would be another one now, or none",
        "步骤 {step}：现在会有所不同，或不再需要",
    ),
    "plan-credentials": (
        "its index had a password, which no file of the doctor keeps; set UV_DEFAULT_INDEX or a netrc file instead",
        "其软件源地址含有密码，而 doctor 不会把密码写入文件；请改用 UV_DEFAULT_INDEX 或 netrc 文件",
    ),
    "uv-busy": (
        "uv has been working on {path} for {seconds} s, so nothing was touched there. Try again when it has finished.",
        "uv 已在 {path} 上运行超过 {seconds} 秒，因此没有改动其中的文件。请等它结束后重试。",
    ),
    "conda-owned": (
        "{name} in {path} belongs to conda, whose files are not changed here. Make an environment beside it: `fix --venv NEW --apply`.",
        "{path} 中的 {name} 由 conda 管理，不在此改动其文件。请另建环境：`fix --venv NEW --apply`。",
    ),
    "editable-install": (
        "{name} in {path} is an editable installation, somebody's own source, and is not changed. Name another environment, or make one: `fix --venv NEW --apply`.",
        "{path} 中的 {name} 是可编辑安装（源码由他人维护），不会改动。请指定其他环境或新建：`fix --venv NEW --apply`。",
    ),
    "other-owner": (
        "{path} belongs to another user ({owner}), so nothing was changed. Run the doctor as that user, or make an environment of your own: `fix --venv NEW --apply`.",
        "{path} 属于其他用户（{owner}），因此没有做任何更改。请以该用户身份运行，或新建自己的环境：`fix --venv NEW --apply`。",
    ),
    "site-read-only": (
        "{path} cannot be written, so nothing was changed. Make an environment that can: `fix --venv NEW --apply`.",
        "{path} 不可写，因此没有做任何更改。请新建可写的环境：`fix --venv NEW --apply`。",
    ),
    "env-wsl": (
        "WSL keeps the driver's libraries where the loader does not look",
        "WSL 把驱动库放在加载器不会查找的位置",
    ),
    "env-allocator": (
        "reading on a GPU has hung with the default allocator; before Python starts",
        "使用默认分配器时 GPU 识别曾有卡住的反馈；须在启动 Python 之前设置",
    ),
    "env-eager": (
        "RTX 50 cards under WSL are reported to hang while kernels are loaded one by one (unverified)",
        "据报告，RTX 50 系列在 WSL 中逐个加载内核时会卡住（未验证）",
    ),
    "env-source-check": (
        "the models are here, so their hosts need not be asked at every start",
        "模型已在本机，无需每次启动都探测下载源",
    ),
    "env-mkl": (
        "the MKL in paddle's wheel uses AVX2 on AMD only when it is told to; twice as fast was measured",
        "paddle 自带的 MKL 在 AMD 处理器上须经指定才会使用 AVX2；实测速度可翻倍",
    ),
    "env-nothing": ("nothing has to be set here", "此处无需设置任何变量"),
    "document-encrypted": (
        "{path} needs a password. Save a copy without one.",
        "{path} 需要密码。请另存一份不加密的副本。",
    ),
    "document-no-pages": ("{path} is a PDF without any page.", "{path} 是没有任何页面的 PDF。"),
    "document-damaged": (
        "{path} cannot be decoded: {detail}. Copy or download it again.",
        "无法解码 {path}：{detail}。请重新复制或下载。",
    ),
    "picture-failed": ("Page {page} cannot be drawn: {detail}", "第 {page} 页无法渲染：{detail}"),
    "picture-crashed": (
        "the process that draws pages ended with {detail}",
        "渲染页面的进程以 {detail} 退出",
    ),
    "picture-late": ("drawing it took more than {detail} s", "渲染超过 {detail} 秒"),
    "picture-memory": (
        "decoding it needs more memory than is free ({detail}). Scale it down, or close other programs.",
        "解码所需内存超过可用内存（{detail}）。请缩小图像，或关闭其他程序。",
    ),
    "pdf-failed": ("{path} could not be written: {detail}", "无法写入 {path}：{detail}"),
    "folder-empty": (
        "There is no image and no PDF in {path}.",
        "{path} 中没有图片或 PDF。",
    ),
    "no-readable-document": (
        "None of the {count} documents can be read.",
        "{count} 个文档均无法读取。",
    ),
    "documents-count": ("{count} documents", "{count} 个文档"),
    "first-frame": (
        "{name} has {frames} frames; the first one is read.",
        "{name} 共有 {frames} 帧，只读取第一帧。",
    ),
    "page-scaled": (
        "Page {page} was scaled to {percent} % before it was read: it is too large to be read whole.",
        "第 {page} 页尺寸过大，已先缩小到 {percent}% 再读取。",
    ),
    "page-turned": (
        "Page {page} does not stand upright; it was turned by {degrees} degrees against the clock to be read.",
        "第 {page} 页方向不正，已逆时针旋转 {degrees} 度后读取。",
    ),
    "page-lies": (
        "Page {page} does not stand upright and was read so, because it could not be read turned. Turn it by {degrees} degrees against the clock, or use --engine reader, which turns pages itself.",
        "第 {page} 页方向不正，且无法转正后重读，只能按原样读取。请将其逆时针旋转 {degrees} 度，或使用会自动转正页面的 --engine reader。",
    ),
    "sheet-name": ("Page {page}, table {number}", "第{page}页 表{number}"),
    "page-blank": ("Page {page} is blank.", "第 {page} 页是空白页。"),
    "reader-failed": (
        "The embedded reader cannot run: {detail}",
        "内置阅读器无法运行：{detail}",
    ),
    "device-unknown": (
        "There is no device called '{device}'. Write auto, cpu, gpu:0, or several of them: gpu:0,gpu:1.",
        "没有名为 '{device}' 的设备。请写 auto、cpu、gpu:0，或多个设备：gpu:0,gpu:1。",
    ),
    "device-missing": (
        "There is no {device}: a process sees {count} GPUs here, and the first is gpu:0.",
        "没有 {device}：此处进程可见 {count} 块 GPU，第一块是 gpu:0。",
    ),
    "rung-remembered": (
        "This environment has needed it before, so it begins {rung}.",
        "此环境以前需要这样做，因此一开始就采用：{rung}。",
    ),
    "worker-renewed-vram": (
        "GPU memory rose from {before} to {now} MiB and did not come back, so a fresh process reads on.",
        "显存从 {before} MiB 升到 {now} MiB 且未释放，已换用新进程继续读取。",
    ),
    "worker-renewed": (
        "Memory rose from {before} to {now} MiB and did not come back, so a fresh process reads on.",
        "内存从 {before} MiB 升到 {now} MiB 且未释放，已换用新进程继续读取。",
    ),
    "models-again": (
        "The models in the cache cannot be loaded ({detail}); they are downloaded anew to {path}.",
        "缓存中的模型无法加载（{detail}），已重新下载到 {path}。",
    ),
    "parse-interrupted": (
        "Interrupted after {done} of {count} pages, which are kept. The same command with --resume reads the rest.",
        "已中断：{count} 页中已读取 {done} 页并保留。用同一命令加 --resume 可读取其余页面。",
    ),
    "pictures-off": (
        "The layout of page {page} could not be drawn, so there are no such pictures from here on: {detail}…",
        "第 {page} 页的版面图无法绘制，此后不再生成此类图片：{detail}…",
    ),
    "stage-upright": (
        "Reading pages that lie on their sides again, upright",
        "正在将方向不正的页面转正后重读",
    ),
    "stage-witness": ("The embedded reader looks at the pages as well", "内置阅读器也在查看页面"),
    "verdict-blank": ("There is nothing to read: every page is blank.", "没有可读的内容：所有页面都是空白。"),
    "verdict-doubtful": ("Not read well enough.", "读取不合格。"),
    "verdict-witnessed": (
        "Read; the embedded reader saw nothing graver than what is shown. No known text to compare with.",
        "已读取；内置阅读器没有发现比上述更严重的差异。没有可供比较的已知文本。",
    ),
    "verdict-documents": (
        "{good} of {count} documents were read well enough.",
        "{count} 个文档中有 {good} 个读取合格。",
    ),
    "verdict-order": (
        "Parts in the order of the page: {order} (needed: {needed}).",
        "顺序与页面一致的部分：{order}（要求 {needed}）。",
    ),
    "verdict-apart": (
        "Of {count} documents {good} read well enough, {bad} not, {unjudged} not judged.",
        "{count} 个文档：{good} 个读取合格，{bad} 个不合格，{unjudged} 个未评判。",
    ),
    "known-missing": (
        "No known text: {place} (or .json, .txt) is not there. Add it, or leave the document out.",
        "没有已知文本：{place}（或 .json、.txt）不存在。请补上，或不要读取该文档。",
    ),
    "known-none": (
        "{folder} has no known text for any of the documents ({count}): looked for {place} and the like. Put a text for each there, with the names and folders of the documents.",
        "{folder} 中没有任何一个文档（共 {count} 个）的已知文本：查找过 {place} 等。请按文档的名称和文件夹为每个文档放一个文本。",
    ),
    "known-one-for-many": (
        "--expect names one text, {path}, for {count} documents. Name a folder with a text for each, or read one document.",
        "--expect 只指定了一个文本 {path}，却要读取 {count} 个文档。请指定为每个文档各有一个文本的文件夹，或只读取一个文档。",
    ),
    "result-needed": (
        "The results would replace {path}, which this run reads. Choose another folder with --output.",
        "结果会覆盖本次运行要读取的 {path}。请用 --output 指定其他目录。",
    ),
    "result-foreign": (
        "The results would replace {path}, which no run of parse has written. Move it, or choose another folder with --output.",
        "结果会覆盖 {path}，而该文件不是 parse 写出的。请移走该文件，或用 --output 指定其他目录。",
    ),
    "threshold-alone": (
        "--threshold has nothing to be compared with: name the known text with --expect PATH.",
        "--threshold 没有可比较的内容：请用 --expect PATH 指定已知文本。",
    ),
    "engine-required": (
        "'{required}' was required, but '{engine}' has read.",
        "要求使用 '{required}'，但实际读取的是 '{engine}'。",
    ),
    "witness-blank": (
        "Page {page}: nothing was read where the witness saw: {text}",
        "第 {page} 页：没有读到任何内容，但佐证阅读器看到：{text}",
    ),
    "witness-repeated": ("Page {page}: said again and again: {text}", "第 {page} 页：反复出现：{text}"),
    "witness-lost": (
        "Page {page}: {lost} of the {seen} lines that the witness saw are missing.",
        "第 {page} 页：佐证阅读器看到的 {seen} 行中缺失 {lost} 行。",
    ),
    "difference-lost": ("page {page}, lost: {text}", "第 {page} 页，缺失：{text}"),
    "difference-made-up": (
        "page {page}, not seen by the witness: {text}",
        "第 {page} 页，佐证阅读器未看到：{text}",
    ),
    "difference-repeated": ("page {page}, repeated: {text}", "第 {page} 页，重复：{text}"),
    "difference-blank": ("page {page}, nothing read of: {text}", "第 {page} 页，未读到：{text}"),
    "differences-more": ("{count} more differences (-v shows all)", "另有 {count} 处差异（-v 显示全部）"),
    "run-title": ("What was read", "读取结果"),
    "run-page": ("Page {page}", "第 {page} 页"),
    "run-page-line": (
        "{count} blocks, {seconds} s on {device}",
        "{count} 个区块，{device} 上用时 {seconds} 秒",
    ),
    "run-layout": ("The blocks on the page, numbered in reading order", "页面上的区块，按阅读顺序编号"),
    "run-difference": ("Difference from the known text", "与已知文本的差异"),
    "run-other-difference": (
        "Difference from {one} to {other} ({similarity} alike)",
        "从 {one} 到 {other} 的差异（相似度 {similarity}）",
    ),
    "run-kind-lost": ("Lost:", "缺失："),
    "run-kind-made-up": ("Not seen by the witness:", "佐证阅读器未看到："),
    "run-kind-repeated": ("Repeated:", "重复："),
    "run-kind-blank": ("Nothing read of:", "未读到："),
    "run-course": ("Times and memory", "用时与内存"),
    "run-memory": ("Memory over time", "内存随时间的变化"),
    "run-memory-rss": ("RSS of all workers", "所有进程的 RSS"),
    "run-memory-gpu": ("In use on the GPUs", "GPU 已用显存"),
    "run-memory-line": (
        "{name}: {most} MiB at most. Once the models were loaded it changed by {rise} MiB a minute (dotted line).",
        "{name}：最高 {most} MiB。模型加载后每分钟变化 {rise} MiB（点线）。",
    ),
    "run-no-text": ("no text", "无文字"),
    "run-cut": ("{count} more characters are not shown here.", "此处还有 {count} 个字符未显示。"),
    "run-incidents": ("Incidents", "事件"),
    "server-no-url": (
        "The engine 'server' needs --server-url, such as http://127.0.0.1:8080/v1.",
        "引擎 'server' 需要 --server-url，例如 http://127.0.0.1:8080/v1。",
    ),
    "server-url": (
        "'{url}' is no URL of a server. Write one such as http://127.0.0.1:8080/v1.",
        "'{url}' 不是服务器地址。请写成 http://127.0.0.1:8080/v1 这样的形式。",
    ),
    "server-silent": (
        "{url} does not answer: {detail}",
        "{url} 没有应答：{detail}",
    ),
    "server-drips": ("its answer did not end within {seconds} s", "应答未能在 {seconds} 秒内完成"),
    "server-no-answer": (
        "{url} answered with something that is no answer of such a server.",
        "{url} 返回的内容不是此类服务器的应答。",
    ),
    "server-busy": ("{url} says {code}: {detail}", "{url} 返回 {code}：{detail}"),
    "server-key": (
        "{url} wants a key ({code}). Set PADDLEVL_DOCTOR_API_KEY to it.",
        "{url} 需要密钥（{code}）。请设置环境变量 PADDLEVL_DOCTOR_API_KEY。",
    ),
    "server-forbids": (
        "{url} does not let this key read ({code}): {detail}. Set PADDLEVL_DOCTOR_API_KEY to one that may.",
        "{url} 不允许该密钥访问（{code}）：{detail}。请将环境变量 PADDLEVL_DOCTOR_API_KEY 设为有权限的密钥。",
    ),
    "server-has-not": (
        "{url} has no such model or address ({code}): {detail}. Look at --server-url and --server-model.",
        "{url} 没有该模型或地址（{code}）：{detail}。请检查 --server-url 和 --server-model。",
    ),
    "server-key-unusable": (
        "{name} holds no key: one has printable ASCII characters without spaces. Set it again, or unset it.",
        "{name} 的值不是密钥：密钥只含可打印的 ASCII 字符且不含空格。请重新设置或取消该变量。",
    ),
    "server-key-missing": (
        "no key was sent ({name} is not set)",
        "请求未带密钥（未设置 {name}）",
    ),
    "server-key-wrong": (
        "the key in {name} is not its key",
        "{name} 中的密钥不正确",
    ),
    "server-refuses": (
        "{url} refuses ({code}): {detail}. Is it the address of an OpenAI-compatible server?",
        "{url} 拒绝请求（{code}）：{detail}。请检查该地址是否为 OpenAI 兼容的服务。",
    ),
    "server-refuses-all": (
        "{count} pages in a row could not be read for the same reason, so no more were tried: {detail}",
        "连续 {count} 页因同一原因无法读取，不再尝试其余页面：{detail}",
    ),
    "server-model": (
        "There is no model '{model}' on the server. It has: {models}",
        "服务器上没有模型 '{model}'。已有：{models}",
    ),
    "server-which": (
        "The server has several models; name one with --server-model: {models}",
        "服务器上有多个模型，请用 --server-model 指定一个：{models}",
    ),
    "server-direct": (
        "The model {model} is asked for whole pages: {reason}",
        "直接让模型 {model} 读取整页：{reason}",
    ),
    "server-other-model": ("it is not PaddleOCR-VL.", "它不是 PaddleOCR-VL。"),
    "server-no-backend": (
        "The target's PaddleOCR {version} cannot speak with {backend}; it can with: {known}. Update it with `paddlevl-doctor fix --set current`, or choose another --server-backend.",
        "目标环境中的 PaddleOCR {version} 不支持 {backend}，仅支持：{known}。请用 `paddlevl-doctor fix --set current` 升级，或用 --server-backend 另选一种。",
    ),
    "server-no-paddle": (
        "There is no paddlepaddle in the target, so pages are read whole, without their layout.",
        "目标环境中没有 paddlepaddle，因此不做版面分析，直接读取整页。",
    ),
    "server-no-layout": (
        "The layout model is not here and no model hub answers, so pages are read whole.",
        "本机没有版面模型，且没有模型仓库应答，因此直接读取整页。",
    ),
    "page-cut": (
        "Page {page}: the model was stopped at its limit of {tokens} tokens.",
        "第 {page} 页：模型输出达到 {tokens} 个 token 的上限，已被截断。",
    ),
    "ray-missing": (
        "Ray is not installed beside the doctor: pip install 'paddlevl-doctor[ray]'",
        "未安装 Ray。请在 doctor 所在环境安装：pip install 'paddlevl-doctor[ray]'",
    ),
    "ray-unreachable": (
        "There is no Ray cluster at {address}: {detail}",
        "{address} 处没有 Ray 集群：{detail}",
    ),
    "ray-another": (
        "what listens there is no Ray cluster. Name the address of its head, such as 10.0.0.1:6379.",
        "该端口上的服务不是 Ray 集群。请给出主节点地址，例如 10.0.0.1:6379。",
    ),
    "ray-none-here": (
        "No Ray cluster runs on this machine. Start one (ray start --head), or name its address: --ray HOST:6379",
        "本机没有运行 Ray 集群。请启动集群（ray start --head），或指定地址：--ray HOST:6379",
    ),
    "ray-versions": (
        "The cluster at {address} runs Ray {ray} on Python {python}, the doctor Ray {own_ray} on Python {own_python}. "
        "Both have to be the same: run the doctor from an environment with those of the cluster.",
        "{address} 的集群使用 Ray {ray} 和 Python {python}，而 doctor 使用 Ray {own_ray} 和 Python {own_python}。"
        "两者必须一致：请在与集群版本相同的环境中运行 doctor。",
    ),
    "ray-too-small": (
        "No node of the cluster has {cpus} CPUs and {gpus} GPUs, which one document asks for. Ask for less with --device.",
        "集群中没有节点同时具有 {cpus} 个 CPU 和 {gpus} 个 GPU（每个文档所需）。请用 --device 减少需求。",
    ),
    "ray-no-compare": (
        "--compare does not work with --ray. Read with each engine in a run of its own, with an --output of its own.",
        "--compare 不能与 --ray 同时使用。请用各引擎分别运行，并指定不同的 --output。",
    ),
    "ray-no-fix": (
        "--fix does not work with --ray. Run `paddlevl-doctor fix --apply` on each node first.",
        "--fix 不能与 --ray 同时使用。请先在每个节点上运行 `paddlevl-doctor fix --apply`。",
    ),
    "ray-no-selftest": (
        "--engine selftest does not work with --ray. `paddlevl-doctor check --deep --ray` does it on every node.",
        "--engine selftest 不能与 --ray 同时使用。`paddlevl-doctor check --deep --ray` 会在每个节点上自检。",
    ),
    "ray-no-recording": (
        "--record and --replay do not work with --ray. Run `paddlevl-doctor check --record` on the node.",
        "--record 和 --replay 不能与 --ray 同时使用。请在该节点上运行 `paddlevl-doctor check --record`。",
    ),
    "node-without-doctor": (
        "On the node {node} Ray's Python has no paddlevl-doctor. Run there: "
        "pip install 'paddlevl-doctor[ray,reader]=={version}'",
        "节点 {node} 的 Ray 所用 Python 中没有 paddlevl-doctor。请在该节点运行："
        "pip install 'paddlevl-doctor[ray,reader]=={version}'",
    ),
    "node-with-other-doctor": (
        "The node {node} has paddlevl-doctor {found}, and this one is {version}. Run there: "
        "pip install 'paddlevl-doctor[ray,reader]=={version}'",
        "节点 {node} 上是 paddlevl-doctor {found}，而本机是 {version}。请在该节点运行："
        "pip install 'paddlevl-doctor[ray,reader]=={version}'",
    ),
    "node-cannot-see": (
        "{detail} (on the node {node}). Inputs, --expect and --output have to be URLs, or in folders that all nodes share.",
        "{detail}（节点 {node}）。输入、--expect 和 --output 必须是 URL，或位于所有节点共享的目录中。",
    ),
    "ray-resumed": ("{count} of them were read in an earlier run.", "其中 {count} 个在之前的运行中已读取。"),
    "stage-ray": ("Reading {count} documents on the cluster", "在集群上读取 {count} 个文档"),
    "place-unreadable": ("{url} cannot be read: {detail}", "无法读取 {url}：{detail}"),
    "place-unwritable": ("{url} cannot be written: {detail}", "无法写入 {url}：{detail}"),
    "place-unknown": (
        "{url} is no place that can be read: {detail}",
        "{url} 不是可读取的位置：{detail}",
    ),
    "column-node": ("node", "节点"),
    "column-machine": ("machine", "主机"),
    "compare-failed": (
        "Failed with {failed} of {count} engines: {engines}.",
        "{count} 个引擎中有 {failed} 个不合格：{engines}。",
    ),
    "compare-require": (
        "'{required}' is required, and none of the engines that are compared: {engines}. Add it to --compare, or leave --require out.",
        "要求使用 '{required}'，但它不在要比较的引擎之中：{engines}。请将其加入 --compare，或去掉 --require。",
    ),
    "compare-engines": (
        "'{words}' is no comparison: name two or more of {names}.",
        "'{words}' 无法比较：请指定 {names} 中的两个或更多。",
    ),
    "column-engine": ("engine", "引擎"),
    "column-similarity": ("like the first", "与第一个的相似度"),
    "column-document": ("document", "文档"),
    "column-pages": ("pages", "页数"),
    "column-written": ("written", "输出"),
    # --- fetching wheels
    "download-failed": (
        "{name} could not be fetched; what was fetched is kept. Say the same again to go on{mirror}. {reasons}",
        "无法下载 {name}；已下载的部分会保留。重新执行同一命令即可续传{mirror}。{reasons}",
    ),
    "download-failed-bare": (
        "{name} could not be fetched. Say the same again{mirror}. {reasons}",
        "无法下载 {name}。请重新执行同一命令{mirror}。{reasons}",
    ),
    "download-mirror": (", or name another mirror", "，或指定其他镜像"),
    "download-other-part": (
        "the {size} bytes that were kept belong to another file and were dropped",
        "保留的 {size} 字节属于另一个文件，已丢弃",
    ),
    "cache-not-written": (
        "The CUDA wheel cannot be kept in {path}: {reason}. Make room there, or name another cache folder with "
        "XDG_CACHE_HOME (on Windows LOCALAPPDATA). Nothing was changed.",
        "无法在 {path} 中保存 CUDA 安装包：{reason}。请腾出空间，或用 XDG_CACHE_HOME（Windows 上为 LOCALAPPDATA）指定其他缓存目录。未做任何更改。",
    ),
    "download-nowhere": ("no server has it", "没有服务器提供该文件"),
    "download-cut": ("cut off after {size} bytes", "在 {size} 字节后中断"),
    "download-drips": ("only {rate} bytes a second", "速度仅为每秒 {rate} 字节"),
    "download-other-file": ("the file changed meanwhile", "文件在此期间已变更"),
    "download-other-range": ("sent another part than was asked for", "返回的区段与请求不符"),
    "download-no-wheel": ("what it sends is no wheel", "返回的内容不是 wheel"),
    "download-too-long": (
        "sent more than the {size} bytes it promised",
        "发送的内容超过其声明的 {size} 字节",
    ),
    "download-too-small": ("{size} bytes cannot be this wheel", "{size} 字节不可能是该 wheel"),
    "download-page": ("sent a page ({kind}) and no wheel", "返回的是网页（{kind}）而不是 wheel"),
    "download-encoded": ("compressed the wheel on the way", "传输中压缩了 wheel"),
    "download-scheme": ("'{scheme}' is not http or https", "“{scheme}”不是 http 或 https"),
    "wheel-missing": ("missing", "缺失"),
    "wheel-size": ("{found} bytes instead of {size}", "{found} 字节，应为 {size} 字节"),
    "wheel-sha256": ("its SHA-256 is not the one that is recorded", "SHA-256 与记录不符"),
    "wheel-broken": ("a damaged archive ({reason})", "压缩包已损坏（{reason}）"),
    "wheel-unlisted": ("not in the list", "不在清单中"),
    # --- wheelhouses
    "stage-collect": ("Collecting {count} wheels", "正在收集 {count} 个 wheel"),
    "house-no-platform": (
        "No wheels are published for {system} on {machine}.",
        "没有面向 {machine} 上 {system} 的 wheel。",
    ),
    "house-glibc": (
        "With glibc {glibc} no version could be found that has a wheel for it: {names}. Use a newer release of the "
        "system, or a container with one (debian:12, ubuntu:22.04).",
        "找不到带有适用于 glibc {glibc} 的 wheel 的版本：{names}。请升级系统，或使用较新的容器（debian:12、ubuntu:22.04）。",
    ),
    "house-occupied": (
        "{path} is not empty and is no wheelhouse. Name a new folder.",
        "{path} 非空且不是 wheelhouse，请指定新的目录。",
    ),
    "house-none": (
        "{path} is no finished wheelhouse: it has no {index}. Make one with `paddlevl-doctor matrix --export wheelhouse DIR`.",
        "{path} 不是完整的 wheelhouse：缺少 {index}。请用 `paddlevl-doctor matrix --export wheelhouse DIR` 生成。",
    ),
    "house-unreadable": (
        "{path} cannot be read as the list of a wheelhouse: {reason}",
        "无法将 {path} 作为 wheelhouse 清单读取：{reason}",
    ),
    "house-paths": ("a wheel outside of the folder", "列出了目录之外的 wheel"),
    "house-other-list": ("does not agree with the list", "与清单不一致"),
    "house-damaged": (
        "The wheelhouse {path} is not as it was made, and nothing was changed: {faults}. Copy or make it again.",
        "wheelhouse {path} 与生成时不一致，未做任何更改：{faults}。请重新复制或重新生成。",
    ),
    "house-other-machine": (
        "The wheelhouse {path} is for {made}, and this is {here}. Nothing was changed; make one for this machine.",
        "wheelhouse {path} 面向 {made}，而此处为 {here}。未做任何更改；请为本机重新生成。",
    ),
    "house-lacks": (
        "The wheelhouse {path} (for {machine}, set {set}) has no {names}, which this machine needs. Nothing was changed; "
        "make one for it, with its GPU and its set.",
        "wheelhouse {path}（面向 {machine}，版本组合 {set}）中没有本机所需的 {names}。未做任何更改；"
        "请按本机的 GPU 和版本组合重新生成。",
    ),
    "house-other-line": (
        "The wheelhouse {path} has paddlepaddle-gpu for {made}, and the GPU and driver of this machine need {needed}. "
        "Nothing was changed; make one with the --gpu and --driver of this machine.",
        "wheelhouse {path} 中的 paddlepaddle-gpu 面向 {made}，而本机的 GPU 和驱动需要 {needed}。未做任何更改；"
        "请用本机的 --gpu 和 --driver 重新生成。",
    ),
    "house-line-unsaid": ("a CUDA version that is not named", "未注明的 CUDA 版本"),
    "house-line-dropped": (
        "{name} in the folder was for {line}; it was dropped, and the one for {tag} fetched.",
        "目录中的 {name} 面向 {line}，已删除并重新下载面向 {tag} 的文件。",
    ),
    "house-not-written": (
        "{path} cannot be written: {reason}. Make room there, or name another folder. What was fetched is kept, and the "
        "same command goes on with it.",
        "无法写入 {path}：{reason}。请腾出空间或指定其他目录。已下载的部分会保留，重新执行同一命令即可继续。",
    ),
    "house-no-wheel": (
        "The index has no wheel of {name} for {machine}. Name another index with --mirror, or another --set or --python.",
        "索引中没有适用于 {machine} 的 {name} wheel。请用 --mirror 指定其他索引，或换用其他 --set 或 --python。",
    ),
    "house-page": (
        "# Wheels for PaddleOCR-VL without a network\n\n"
        "For {machine}; set {set}; {count} wheels, {size} MB. `{index}` lists them with their SHA-256.\n\n"
        "On the machine, the doctor first (its own wheels are in `{doctor}`):\n\n"
        "    python -m pip install --no-index --find-links DIR/{doctor} 'paddlevl-doctor[reader]'\n"
        "    paddlevl-doctor fix --wheelhouse DIR --apply\n\n"
        "or without the doctor, in a new environment:\n\n"
        "    python -m pip install --no-index --find-links DIR --require-hashes -r DIR/requirements.txt\n\n"
        "DIR is this folder. On Kaggle, make it a data set once and attach it to the notebook.\n",
        "# 无网络安装 PaddleOCR-VL 所需的 wheel\n\n"
        "面向 {machine}；版本组合 {set}；共 {count} 个 wheel，{size} MB。`{index}` 列出了它们的 SHA-256。\n\n"
        "在目标机器上，先安装 doctor（其 wheel 位于 `{doctor}`）：\n\n"
        "    python -m pip install --no-index --find-links DIR/{doctor} 'paddlevl-doctor[reader]'\n"
        "    paddlevl-doctor fix --wheelhouse DIR --apply\n\n"
        "或者不使用 doctor，在新环境中：\n\n"
        "    python -m pip install --no-index --find-links DIR --require-hashes -r DIR/requirements.txt\n\n"
        "DIR 即本目录。在 Kaggle 上，可将其一次性做成数据集并挂载到笔记本。\n",
    ),
    "house-newer-glibc": (
        "The wheelhouse {path} needs glibc {needed} ({file}), and this machine has {here}. Nothing was changed; make one "
        "with `paddlevl-doctor matrix --glibc {here} --export wheelhouse DIR`.",
        "wheelhouse {path} 需要 glibc {needed}（{file}），而本机为 {here}。未做任何更改；请用 "
        "`paddlevl-doctor matrix --glibc {here} --export wheelhouse DIR` 重新生成。",
    ),
    "house-untested": (
        "The tested versions could not all be had; these are the newest that fit.",
        "无法获得全部经过测试的版本；此处为最新的可用版本。",
    ),
    "export-untested": (
        "The tested versions could not all be had, so the wheelhouse holds the newest that fit. {reason}",
        "无法获得全部经过测试的版本，wheelhouse 中为最新的可用版本。{reason}",
    ),
    "export-no-doctor": (
        "The wheelhouse is complete, but the doctor itself cannot be had for {machine}, so it has to be there "
        "already. {reason}",
        "wheelhouse 已完整，但无法为 {machine} 获得 doctor 本身，目标机器上须已安装。{reason}",
    ),
    "own-wheel-none": (
        "The doctor cannot put itself into the wheelhouse: the files of its own installation are not listed. "
        "Install it with pip or uv and say the same again.",
        "doctor 无法将自身放入 wheelhouse：其安装文件没有清单。请用 pip 或 uv 安装后重试。",
    ),
    "own-wheel-sources": (
        "The doctor cannot put itself into the wheelhouse: it is a development installation, and its sources are no more "
        "in {path}. Install it again and say the same again.",
        "doctor 无法将自身放入 wheelhouse：它是开发安装，而源码已不在 {path}。请重新安装后重试。",
    ),
    "house-alone": (
        "--wheelhouse installs without a network: leave --mirror and --dev-safetensors out.",
        "--wheelhouse 无需网络安装：请去掉 --mirror 和 --dev-safetensors。",
    ),
    "wheel-not-fetched": (
        "The CUDA wheel could not be fetched beforehand, so uv fetched it itself: {reason}",
        "无法预先下载 CUDA 安装包，改由 uv 自行下载：{reason}",
    ),
    "wheel-fetched": ("{name} was fetched beforehand", "{name} 已预先下载"),
    # --- where packages come from
    "mirror-lacks": ("does not list the wheel", "未列出该 wheel"),
    "unknown-mirror": (
        "There is no mirror '{name}'. Give a URL, or one of: {names}.",
        "没有名为 '{name}' 的镜像。请给出 URL，或从以下选择：{names}。",
    ),
    "mirrors-measured": ("mirrors, as measured just now: {numbers}", "刚刚测得的镜像速度：{numbers}"),
    "mirrors-without": (
        "none of them has the wheel, so the index stays the default one",
        "其中没有一个提供该安装包，因此仍使用默认索引",
    ),
    "servers-measured": (
        "Servers of the CUDA wheel, as measured just now: {numbers}",
        "刚刚测得的 CUDA 安装包服务器速度：{numbers}",
    ),
    "index-of-pip": ("the index of pip's configuration is used: {url}", "使用 pip 配置中的索引：{url}"),
    "own-index": ("the index that uv is set to", "uv 所设置的索引"),
    "uv-follows": ("uv also follows: {settings}", "uv 还会遵循：{settings}"),
    # --- exports
    "export-unknown": (
        "There is no export '{kind}'. There are: {kinds}.",
        "没有名为 '{kind}' 的导出类型。可用：{kinds}。",
    ),
    "export-linux-only": (
        "A Dockerfile is for Linux, and this is {machine}. Say --for linux.",
        "Dockerfile 面向 Linux，而此处为 {machine}。请使用 --for linux。",
    ),
    "export-occupied": (
        "{path} is there already and was not written by the doctor; it is not touched. Name another folder.",
        "{path} 已存在且不是由 doctor 写入的，不会改动。请指定其他目录。",
    ),
    "export-flat": (
        "Paddle's page is a list of links; as an index it would hide the other packages",
        "Paddle 的页面只是链接列表；若作为索引会遮蔽其他软件包",
    ),
    "export-debian": (
        "libraries that OpenCV and PaddlePaddle load and the slim image lacks",
        "OpenCV 与 PaddlePaddle 需要而 slim 镜像缺少的库",
    ),
    "export-about": (
        "# PaddleOCR-VL\n\nInstalls the set `{set}` ({machine}) into an environment of its own, checks it and reads a page.",
        "# PaddleOCR-VL\n\n将版本组合 `{set}`（{machine}）安装到独立环境中，检查后识别一页文档。",
    ),
    "export-installing": (
        "## Install and check\n\nThe notebook's own packages are not touched: the doctor and PaddleOCR-VL have an environment "
        "each. The doctor's wheel was written beside this notebook: take it along, or attach it as a data set; else "
        "version {version} is asked of the index. With a wheelhouse nothing is downloaded.",
        "## 安装与检查\n\n不会改动笔记本自带的软件包：doctor 与 PaddleOCR-VL 各有独立环境。doctor 的安装包已写在本笔记本旁边："
        "请一并带上，或作为数据集挂载；否则从索引获取版本 {version}。使用 wheelhouse 时无需下载。",
    ),
    "export-wheel-elsewhere": (
        "The doctor's wheel could not be put beside the notebook, which has to get it elsewhere. {reason}",
        "无法将 doctor 的安装包放在笔记本旁边，须另行获取。{reason}",
    ),
    "export-parsing": ("## Read a page", "## 识别文档"),
    # --- matrix
    "matrix-no-version": (
        "{option} {value} is no version. Give numbers with dots, as in 3.12 or 576.02.",
        "{option} {value} 不是版本号。请给出以点分隔的数字，如 3.12 或 576.02。",
    ),
    "matrix-no-platform": (
        "There is no platform '{value}'. Known: {names}.",
        "没有名为 '{value}' 的平台。可用：{names}。",
    ),
    "matrix-no-glibc": (
        "--glibc is for Linux with the GNU C library; {name} has none. Leave it out.",
        "--glibc 仅适用于使用 GNU C 库的 Linux，{name} 没有该库。请去掉此选项。",
    ),
    "matrix-no-machine": (
        "There is no processor architecture '{value}'. Known: {names}.",
        "没有名为 '{value}' 的处理器架构。可用：{names}。",
    ),
    "matrix-gpu-machine": (
        "{gpu} is only in machines with {machine} processors, and not in one with {value}. Leave --arch out.",
        "{gpu} 只用于 {machine} 处理器的机器，而不用于 {value}。请去掉 --arch。",
    ),
    "matrix-no-gpu": (
        "No GPU is known as '{value}'. Near it: {names}. Or give its compute capability, as in 8.9.",
        "没有名为 '{value}' 的 GPU。相近的有：{names}。也可直接给出计算能力，如 8.9。",
    ),
    "matrix-machine": ("machine", "机器"),
    "matrix-set": ("set", "组合"),
    "matrix-wheel": ("wheel", "安装包"),
    "matrix-index": ("index", "源"),
    "matrix-default-index": ("the default index", "默认源"),
    "matrix-driver": ("driver", "驱动"),
    "matrix-download": ("download", "下载量"),
    "matrix-vram": ("GPU memory", "显存"),
    "matrix-why": ("Why", "理由"),
    "matrix-page": ("The index page {url}", "索引页面 {url}"),
    "matrix-refused": ("What cannot be used, and the way out", "无法使用的部分与解决办法"),
    "matrix-install": ("Install", "安装"),
    "matrix-impossible": (
        "✗ Nothing can be installed here: see the way out above.",
        "✗ 此机器上无法安装，请参考上面的解决办法。",
    ),
    "matrix-wheel-line": ("{requirement} ({tag}), device {device}", "{requirement}（{tag}），设备 {device}"),
    "matrix-driver-line": (
        "{minimum} or newer for CUDA {cuda}; {toolkit} came with it",
        "CUDA {cuda} 要求不低于 {minimum}；其自带版本为 {toolkit}",
    ),
    "matrix-gigabytes": ("about {gb} GB", "约 {gb} GB"),
    "matrix-gigabytes-at-least": ("more than {gb} GB", "超过 {gb} GB"),
    "matrix-part-paddle": ("paddle", "paddle"),
    "matrix-part-nvidia": ("NVIDIA's libraries", "NVIDIA 库"),
    "matrix-part-stack": ("the other packages", "其他软件包"),
    "matrix-part-models": ("models", "模型"),
    "matrix-unknown-size": ("not published", "未公布"),
    "matrix-vram-line": (
        "{gpu}: about {patched} GB at the peak with our patch, {peak} GB without ({dtype})",
        "{gpu}：峰值约 {patched} GB（使用本项目的补丁），不用补丁约 {peak} GB（{dtype}）",
    ),
    "matrix-vram-has": ("; it has {has} GB", "；该卡为 {has} GB"),
    "matrix-no-driver": ("driver not named", "未指定驱动"),
    "matrix-unverified": ("unverified", "未验证"),
    "matrix-elsewhere": (
        "On that machine `{command}` does the same, and patches and proves it.",
        "在那台机器上运行 `{command}` 效果相同，并会打补丁和验证。",
    ),
    "matrix-here": (
        "`{command}` does this here, and patches and proves it.",
        "在本机运行 `{command}` 即可完成安装，并会打补丁和验证。",
    ),
    # --- serve
    "server-url-unusable": (
        "{url} is no address of a server. Give one as http://127.0.0.1:8118/v1.",
        "{url} 不是有效的服务地址。请使用类似 http://127.0.0.1:8118/v1 的地址。",
    ),
    "serve-system": (
        "it runs on {systems} only, and this is {system}",
        "只支持 {systems}，而本机是 {system}",
    ),
    "serve-wsl": (
        "(inside WSL2 or Docker it does)",
        "（可在 WSL2 或 Docker 中运行）",
    ),
    "serve-machine": (
        "it has wheels for {machines} only, and this is {machine}",
        "只有 {machines} 的安装包，而本机是 {machine}",
    ),
    "serve-no-gpu": (
        "it needs an NVIDIA GPU with compute capability {minimum} or more, and there is none",
        "需要计算能力不低于 {minimum} 的 NVIDIA 显卡，而本机没有",
    ),
    "serve-below": (" and below {below}", "且低于 {below}"),
    "serve-capability": (
        "it needs compute capability {minimum} or more{below}, and this is {gpus}",
        "需要计算能力不低于 {minimum}{below}，而本机是 {gpus}",
    ),
    "serve-pages": (
        "it has wheels for the compute capabilities {capabilities} only, and this is {gpus}",
        "只有计算能力 {capabilities} 的安装包，而本机是 {gpus}",
    ),
    "serve-hidden": (
        "it needs an NVIDIA GPU, and none is left visible:",
        "需要 NVIDIA 显卡，而可见的显卡一块也没有：",
    ),
    "serve-driver": (
        "it is built with CUDA {cuda}, which needs driver {needed} or newer, and this is {driver}. Update NVIDIA's driver",
        "它使用 CUDA {cuda} 构建，要求驱动不低于 {needed}，而本机是 {driver}。请升级 NVIDIA 驱动",
    ),
    "serve-glibc": (
        "its wheels need the GNU C library {needed} or newer, and this is {library}. Use a newer release of the system, or Docker",
        "其安装包要求 GNU C 库（glibc）不低于 {needed}，而本机是 {library}。请换用更新的系统版本或 Docker",
    ),
    "serve-no-program": (
        "there is no program {program} on the PATH; install llama.cpp first",
        "PATH 中没有程序 {program}，请先安装 llama.cpp",
    ),
    "serve-port-unusable": (
        "{port} is no port: give a number from 1 to 65535.",
        "{port} 不是有效端口：请给出 1 到 65535 之间的数字。",
    ),
    "serve-fraction-unusable": (
        "{fraction} is no share of a card: give --gpu-memory a number above 0, at most 1.",
        "{fraction} 不是有效的显存比例：--gpu-memory 须大于 0 且不超过 1。",
    ),
    "serve-unknown-model": (
        "There is no model '{name}' of PaddleOCR-VL. Known: {names}.",
        "PaddleOCR-VL 没有名为 '{name}' 的模型。可用：{names}。",
    ),
    "serve-port-taken": (
        "Something already listens on port {port} of 127.0.0.1. Choose another one with --port, or ask what is there: `paddlevl-doctor serve --url http://127.0.0.1:{port}/v1`.",
        "127.0.0.1 的端口 {port} 已被占用。请用 --port 换一个，或检查其上的服务：`paddlevl-doctor serve --url http://127.0.0.1:{port}/v1`。",
    ),
    "serve-file-not-ours": (
        "{path} is not a file of this command and is not overwritten. Move it, or run in another folder.",
        "{path} 不是本命令写的文件，不会覆盖。请移走它，或换一个目录运行。",
    ),
    "serve-not-started": (
        "{program} could not be started: {reason}.",
        "无法启动 {program}：{reason}。",
    ),
    "serve-ended": (
        "The server ended with status {code}. Its log is {log}:\n{words}",
        "服务已退出，状态 {code}。日志 {log}：\n{words}",
    ),
    "serve-wants-key": (
        "The server wants a key and was ended: a variable such as VLLM_API_KEY or LLAMA_API_KEY gives it one. Unset that, or set {name} to the same key. Its log is {log}.",
        "服务要求密钥，已将其结束：VLLM_API_KEY 或 LLAMA_API_KEY 等变量为它设置了密钥。请取消该变量，或将 {name} 设为相同的密钥。日志 {log}。",
    ),
    "serve-not-ready": (
        "The server did not become ready in time and was ended ({said}). Its log is {log}:\n{words}",
        "服务未能按时就绪，已将其结束（{said}）。日志 {log}：\n{words}",
    ),
    "stage-serve-prepare": ("Preparing the server's environment {folder}", "准备服务端环境 {folder}"),
    "stage-serve-wait": (
        "Waiting until {url} answers a real request",
        "等待 {url} 回应真实请求",
    ),
    "serve-server": (
        "Server environment, which this command makes: {folder}",
        "服务端环境，由本命令创建：{folder}",
    ),
    "serve-adopted": (
        "Server environment, which is there already and stays as it is: {folder}",
        "服务端环境，已存在，保持原样：{folder}",
    ),
    "serve-program": (
        "Server, a program that has to be there already: {program}",
        "服务端，须事先安装的程序：{program}",
    ),
    "serve-start": ("started by this command with:", "由本命令启动："),
    "serve-start-share": (
        "started by this command with {fraction} of the {total} MiB of GPU memory:",
        "由本命令启动，占用 {total} MiB 显存中的 {fraction}：",
    ),
    "serve-config": (
        "reads a configuration file that this command writes, with: {config}",
        "读取由本命令写入的配置文件，内容为：{config}",
    ),
    "serve-answers": ("answers at {url} as {model}", "在 {url} 提供服务，模型名 {model}"),
    "serve-weights-cached": ("takes the weights that are here: {weights}", "使用本机已有的权重：{weights}"),
    "serve-weights-hub": (
        "fetches the weights from a hub at its first start: {weights}",
        "首次启动时从模型平台下载权重：{weights}",
    ),
    "serve-client": (
        "Client environment, PaddleOCR with its layout model: {folder}",
        "客户端环境，PaddleOCR 及其版面模型：{folder}",
    ),
    "serve-client-first": ("is not ready; you make it so first with:", "尚未就绪，请先执行："),
    "serve-client-reads": ("reads a page through the server with:", "通过该服务识别页面："),
    "serve-file": (
        "Pipeline file between them, which this command writes into this folder: {file}",
        "两者之间的产线配置文件，由本命令写入当前目录：{file}",
    ),
    "serve-file-later": (
        "written only once the client is ready; its VLRecognition then holds:",
        "客户端就绪之后才会写入；其中 VLRecognition 将包含：",
    ),
    "serve-file-now": ("its VLRecognition holds:", "其中 VLRecognition 包含："),
    "serve-proof": (
        "Why two environments: each package is there in one version, and the client's {paddle} and the server's {server} ask for {count} of them in different ones",
        "为何需要两个环境：一个环境中每个软件包只能有一个版本，而客户端的 {paddle} 与服务端的 {server} 对其中 {count} 个要求不同版本",
    ),
    "serve-ready": (
        "Ready at {url} after {seconds} s. Ctrl-C ends it.",
        "{url} 已就绪，用时 {seconds} 秒。按 Ctrl-C 结束。",
    ),
    "serve-next": ("Nothing was changed. What to do next:", "未做任何更改。接下来："),
    "serve-next-serve": (
        "this command without --dry-run; it stays in its terminal until Ctrl-C",
        "去掉 --dry-run 再次执行本命令；它会一直占用该终端，直到按下 Ctrl-C",
    ),
    "serve-next-read": ("in another terminal: {command}", "在另一个终端中：{command}"),
    "serve-next-again": (
        "The client is not ready, so {file} was not written: `{command}`, then this command again.",
        "客户端尚未就绪，因此未写入 {file}：请执行 `{command}`，然后再次执行本命令。",
    ),
    "serve-cannot": (
        "It cannot run as things are; this is what it would be:",
        "目前无法运行；可运行时的方案如下：",
    ),
    "serve-nothing": (
        "Nothing was installed or started. What is in the way stands at the top.",
        "未安装也未启动任何内容。原因见最上方。",
    ),
    "serve-backend-only": (
        "--url asks a server that runs already; leave --dry-run, --venv-server, --gpu-memory, --mirror and --port away.",
        "--url 用于检查已运行的服务；请去掉 --dry-run、--venv-server、--gpu-memory、--mirror 和 --port。",
    ),
    "seen-server": ("serve, check --server-url", "serve、check --server-url"),
    "column-package": ("Package", "软件包"),
}
