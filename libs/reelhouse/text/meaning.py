"""Which texts say nothing: file names, timestamps, device names, emoji runs and the like, Chinese and English.

Every rule must fit the whole text, so that a real title that merely holds a date or a device is never lost.
"""

from __future__ import annotations

import re
import unicodedata

from reelhouse.text.cleaning import HAN, scrub

_LONGEST = 160  # no file name, date or device name is longer; longer texts only see the linear checks

_EXTENSION = r"\.(?:mp4|m4v|mov|avi|mkv|webm|flv|wmv|3gp|mpe?g|ts|mts|m2ts|vob|rmvb|gif|jpe?g|png|heic|webp|bmp|mp3|wav|m4a|aac|amr)"
_WITH_EXTENSION = re.compile(rf"(.+?){_EXTENSION}", re.IGNORECASE)
# what cameras, phones and apps call their files
_CAMERA = (
    r"img|vid|dsc[nf]?|mvi|mov|pxl|pano|gopr|g[hx]\d\d|dji|cimg|imag|fb_img|burst|mmexport|wx_camera|microvideo|micromsg|trim|lv_0|"
    r"inshot|capcut|videoshow|xiaoying_video|kakaotalk|whatsapp (?:video|image)(?: at)?|rpreplay_final|svid|rec|video|untitled|output|"
    r"screen[ _-]?shots?|screen[ _-]?recording|screenrecorder|screenrecord|record(?:ing)?|new ?video|my ?video|capture|"
    r"微信视频|微信图片|微信截图|qq视频|qq图片|qq录屏|屏幕录制|屏幕截图|录屏|截屏|截图|录制|视频|未命名|未标题|新建视频|无标题|我的影片|我的视频|导出|成片"
)
_AMBIGUOUS = r"movie|clip|final|export|camera|cam|sam|wp|signal|telegram|tiktok|douyin|kwai|snapchat|剪映|快影|抖音|快手|相机"  # `Movie 43`
_COUNTER = r"(?:[\d_\-.: ()~（）]|\b(?:am|pm|at|hdr|mp|copy|edit(?:ed)?|副本|上午|下午|wa|v)\b|[年月日时分秒点T]|wa(?=\d)|v(?=\d))*"
_FILE_NAME = re.compile(
    rf"(?:(?:{_CAMERA})[_\- ]*(?=.*\d)|(?:{_AMBIGUOUS})[_\- ]*(?=(?:\D*\d){{5}}))"
    rf"{_COUNTER}(?:_?(?:hdr|副本|copy|trim|剪辑|edit))?{_COUNTER}",
    re.IGNORECASE,
)
_GENERIC_WORD = re.compile(rf"(?:{_CAMERA}|{_AMBIGUOUS})?[\d年月日时分秒]*|copy|副本|最终版?|v\d+|new|新建|the|my|of", re.IGNORECASE)
_CONTENT_HASH = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?=[a-z]*\d[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{16,128}|(?=\S*\d)(?=\S*[A-Z])(?=\S*[a-z])[A-Za-z0-9_-]{24,128}"
)

_YEAR, _DAY, _CLOCK = r"(?:19|20)\d\d", r"\d{1,2}", r"\d{1,2}[:时点.]\d{1,2}(?:[:分.]\d{1,2}(?:[.,]\d{1,6})?)?[分秒]?"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|"
    r"aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DATE = (
    rf"(?:{_YEAR}[-/._年 ]{{1,2}}{_DAY}[-/._月 ]{{1,2}}{_DAY}[日号]?|{_DAY}[-/.]{_DAY}[-/.](?:{_YEAR}|\d\d)"
    rf"|{_YEAR}年(?:{_DAY}月)?|{_DAY}月{_DAY}[日号]?"
    rf"|{_YEAR}[01]\d[0-3]\d|{_MONTH} {_DAY}(?:st|nd|rd|th)?(?:,? {_YEAR})?|{_DAY}(?:st|nd|rd|th)? {_MONTH}(?:,? {_YEAR})?)"
)
_WEEKDAY = r"(?:星期|周|礼拜)[一二三四五六日天]|(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
_TIME = rf"(?:(?:上午|下午|早上|晚上|中午|凌晨|am|pm)? ?{_CLOCK} ?(?:am|pm)?|[0-2]\d[0-5]\d[0-5]\d(?:\d{{3}})?)"
_TIMESTAMP = re.compile(
    rf"(?:{_WEEKDAY},? )?{_DATE}(?:[ T_,-]*(?:{_WEEKDAY}))?(?:[ T_,-]*{_TIME})?(?: ?(?:z|utc|gmt|[+-]\d\d:?\d\d))?|{_TIME}"
    rf"|(?=.*[:时点]){_TIME}(?:[ ,-]*{_DATE})",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"1[0-9]{9}(?:[0-9]{3}){0,2}")

# possessive: else s, e and se would be tried in every mix
_TRIM = r"(?: ?(?:pro|max|plus|mini|ultra|lite|se|5g|4g|fe|edge|fold|flip|note|\+|s|e|x|youth|青春版|至尊版|标准版|极速版|手机))*+"
_DEVICE_NAME = (
    rf"(?:apple )?(?:iphone|苹果手机|苹果)[ -]?(?:\d{{1,2}}|x|xs|xr|se|air){_TRIM}"
    rf"|(?:apple )?ipad(?: (?:pro|air|mini))?(?: ?\d{{1,2}}(?:\.\d)?)?"
    rf"|(?:huawei|华为) ?(?:p|mate|nova|pura|畅享|麦芒) ?(?:x[st]?)? ?\d{{1,3}}{_TRIM}"
    rf"|(?:honor|荣耀) ?(?:x|magic|play|v|畅玩|note)? ?\d{{1,3}}[a-z]?{_TRIM}"
    rf"|(?:xiaomi|mi|redmi|poco|小米|红米)(?: ?(?:note|mix|max|civi|k|a|f|x|m))? ?\d{{1,2}}[a-z]?{_TRIM}"
    rf"|(?:vivo|iqoo) ?(?:x|y|s|z|neo|nex|v|t)? ?\d{{1,3}}[a-z]?{_TRIM}"
    rf"|oppo ?(?:reno|find|a|k|r|ace|f)(?: ?x)? ?\d{{1,3}}[a-z]?{_TRIM}"
    rf"|(?:oneplus|realme|meizu|nokia|moto(?:rola)?|一加|真我|魅族)(?: ?(?:gt|ace|nord|edge|x|q|c|g))? ?\d{{1,3}}[a-z]?{_TRIM}"
    rf"|(?:samsung |三星)?(?:galaxy) ?(?:s|a|note|z|m|j|tab)[a-z]* ?\d{{1,3}}{_TRIM}"
    rf"|samsung sm-[a-z]?\d{{3,4}}[a-z0-9]{{0,3}}|sm-[a-z]\d{{3,4}}[a-z0-9]{{0,3}}"
    rf"|(?:google )?pixel \d{{1,2}}a?{_TRIM}"
    rf"|(?:canon eos|canon|eos) (?=[a-z]*\d)[a-z0-9]{{2,8}}(?: mark (?:ii|iii|iv))?|canon eos r[p]?"
    rf"|nikon (?:d|z) ?\d{{1,4}}[a-z]{{0,2}}|(?:sony )?(?:ilce|dsc)-[a-z0-9]{{2,8}}"
    rf"|sony (?:a\d[a-z0-9]{{0,4}}|xperia.{{0,8}})|fujifilm x-?[a-z0-9]{{1,5}}|gopro(?: hero ?\d{{0,2}}(?: black)?)?"
    rf"|dji (?:mini|air|mavic|osmo|pocket|action|spark|phantom)(?: ?\d{{1,2}}){{0,2}}(?: pro| se| 4k)?"
)
_CAMERA_WORDS = r"(?:(?:ai |leica |zeiss |hasselblad )(?:(?:dual|triple|quad|penta|matrix) )?|(?:dual|triple|quad|penta|matrix) )camera"
_SHOT_ON = r"(?:shot|filmed|recorded|captured|taken|video|photo)(?: (?:on|with|by|using|from))+|sent from(?: my)?|来自|拍摄于|使用|由|摄于"
_BRAND = "iphone|android|samsung|huawei|xiaomi|mi|redmi|oneplus|oppo|vivo|realme|pixel|gopro|drone|canon|nikon|sony"
_MODEL_WORD = "pro|max|plus|mini|ultra|phone|camera|note|galaxy|mate|reno"
_DEVICE = re.compile(
    rf"(?:(?:{_SHOT_ON}):? ?(?:my )?)?(?:{_DEVICE_NAME})(?: ?(?:拍摄|录制|手机拍摄))?(?:[ /|]*{_CAMERA_WORDS})?"
    rf"|(?:{_CAMERA_WORDS})(?: (?:shot|photo) (?:by|on) .{{2,20}})?"
    rf"|(?:shot|filmed|captured|taken) (?:on|with) (?:an? |my )?(?:{_BRAND})(?: (?:[a-z]{{0,6}}\d[a-z0-9+-]{{0,8}}|{_MODEL_WORD})){{0,4}}",
    re.IGNORECASE,
)
_STICKER = re.compile(rf"(?:\[[{HAN}a-z/]{{1,5}}\]\s*)+", re.IGNORECASE)
_DIGITS = re.compile(r"[\d\s.,:;/\\_+*=~()\[\]#%-]*\d[\d\s.,:;/\\_+*=~()\[\]#%-]*")
_KEY_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "poiuytrewq", "lkjhgfdsa", "mnbvcxz")
_HOME_ROW = re.compile(r"[sdfghjkl]{7,}|[zxcvbnm]{7,}|[qwrtp]{7,}")


def meaningless_reason(text: str | None) -> str | None:
    """Why the text carries no meaning, or None when it does.

    empty, file_name, timestamp, device_name, emoji_run, punctuation, digits, repeated_character or keyboard_mash. The
    whole text must fit. Linear in its length; None counts as empty.
    """
    text = scrub(text or "")
    if not text:
        return "empty"
    reason = _by_characters(text)
    if reason or len(text) > _LONGEST:
        return reason
    if _TIMESTAMP.fullmatch(text) or _EPOCH.fullmatch(text):
        return "timestamp"
    if _is_file_name(text):
        return "file_name"
    if _DIGITS.fullmatch(text):
        return "digits"
    if _DEVICE.fullmatch(text):
        return "device_name"
    if _is_mash(text):
        return "keyboard_mash"
    return None


def _by_characters(text: str) -> str | None:
    """Checks that look at characters only; one pass each."""
    letters = [c for c in text if c.isalnum()]
    if not letters or _STICKER.fullmatch(text):
        return "emoji_run" if letters or any(map(_is_emoji, text)) else "punctuation"
    if len(letters) >= 3 and not letters[0].isdigit() and len({c.lower() for c in letters}) == 1:
        return "repeated_character"
    if len(text) > _LONGEST and all(c.isdigit() for c in letters):
        return "digits"
    return None


def _is_emoji(character: str) -> bool:
    # So holds emoji and pictographs, Sk the skin tones; arrows, lines and currency are no emoji
    return unicodedata.category(character) in ("So", "Sk") and ord(character) >= 0x231A


def _is_file_name(text: str) -> bool:
    named = _WITH_EXTENSION.fullmatch(text)
    stem = named.group(1) if named else text
    if _FILE_NAME.fullmatch(stem) or _CONTENT_HASH.fullmatch(stem):
        return True
    if not named:
        return False
    words = [w for w in re.split(r"[\W_]+", stem) if not _GENERIC_WORD.fullmatch(w)]
    chinese = sum(len(re.findall(f"[{HAN}]", w)) for w in words)
    # "My trip to Rome.mp4" says something, "final_cut.mp4" does not
    return chinese < 4 and (" " not in stem.strip() or sum(len(w) > 1 for w in words) < 2)


def _is_mash(text: str) -> bool:
    words = text.lower().split()
    return all(len(w) >= 4 and w.isascii() and w.isalpha() and _is_mashed_word(w) for w in words)


def _is_mashed_word(word: str) -> bool:
    """A walk along a key row, four keys or more (asdf, lkjh), three keys of a row again and again (qweqwe), or consonants of one row."""
    if _HOME_ROW.fullmatch(word):
        return True
    unit = next(n for n in range(1, len(word) + 1) if (word[:n] * (len(word) // n + 1)).startswith(word))
    return len(word[:unit]) >= (3 if len(word) >= 2 * unit else 4) and any(word[:unit] in row for row in _KEY_ROWS)
