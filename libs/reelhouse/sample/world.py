"""What the sample's world is made of, as data: classes with how they look, sound and are talked about.

Two or three classes share each scene and each sound, and only the pair tells them apart: neither says the class alone. Texts say
the class in two of three videos (`plan.TEXT_LEVELS`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Leaf:
    """A class: its id in conf/taxonomy/categories.yml, its weight (long tail), look, sound and words."""

    id: str
    weight: float
    scene: str
    sound: str
    chinese: tuple[str, ...]
    english: tuple[str, ...]

    @property
    def top(self) -> str:
        return self.id.split(".")[0]


LEAVES = (
    Leaf("food.home_cooking", 30, "plates", "sizzle", ("红烧排骨", "番茄炒蛋", "家常豆腐"), ("home cooked dinner", "tomato egg stir fry")),
    Leaf("pets.cats", 24, "eyes", "purr", ("小橘猫", "猫咪日常", "布偶猫"), ("orange cat", "sleepy kitten")),
    Leaf("dance.street_dance", 20, "figures", "beat", ("街舞教学", "舞蹈挑战", "街舞齐舞"), ("street dance", "hip hop routine")),
    Leaf("food.coffee", 18, "cups", "sizzle", ("手工咖啡", "拿铁拉花", "手冲咖啡"), ("pour over coffee", "latte art")),
    Leaf("pets.dogs", 16, "eyes", "bark", ("金毛犬", "柯基日常", "遛狗路上"), ("golden retriever", "corgi puppy")),
    Leaf("sports.basketball", 14, "balls", "bark", ("三分球", "篮球训练", "街头篮球"), ("three point shot", "basketball training")),
    Leaf("travel.city_walk", 13, "towers", "traffic", ("城市漫步", "老街夜景", "周末探店"), ("city walk", "old town at night")),
    Leaf("music.guitar", 12, "strings", "pluck", ("吉他弹唱", "指弹吉他", "民谣吉他"), ("guitar cover", "fingerstyle guitar")),
    Leaf("food.baking", 11, "plates", "bell", ("戚风蛋糕", "手工面包", "烘焙教程"), ("chiffon cake", "sourdough bread")),
    Leaf("tech.phones", 10, "screens", "beep", ("手机测评", "拍照手机", "旗舰手机"), ("phone review", "camera test")),
    Leaf("home.gardening", 9, "petals", "chirp", ("阳台种菜", "多肉植物", "月季养护"), ("balcony garden", "rose care")),
    Leaf("sports.football", 8, "balls", "crowd", ("任意球教学", "足球比赛", "颠球挑战"), ("free kick", "football match")),
    Leaf("travel.beach", 7, "waves", "noise", ("海边日落", "赶海日记", "冲浪体验"), ("beach sunset", "surfing trip")),
    Leaf("music.piano", 7, "strings", "bell", ("钢琴独奏", "钢琴教学", "古典钢琴"), ("piano solo", "piano lesson")),
    Leaf("tech.computers", 6, "screens", "hum", ("装机教程", "笔记本测评", "机械键盘"), ("pc build", "mechanical keyboard")),
    Leaf("food.street_food", 6, "cups", "traffic", ("夜市小吃", "街边烧烤", "臭豆腐"), ("night market food", "street food tour")),
    Leaf("sports.running", 5, "figures", "crowd", ("晨跑打卡", "马拉松训练", "跑步姿势"), ("morning run", "marathon training")),
    Leaf("home.handcraft", 5, "grid", "pluck", ("手工编织", "黏土手作", "手账拼贴"), ("knitting pattern", "clay craft")),
    Leaf("pets.birds", 4, "petals", "purr", ("虎皮鹦鹉", "观鸟笔记", "玄凤鹦鹉"), ("talking parrot", "bird watching")),
    Leaf("travel.camping", 4, "peaks", "chirp", ("露营装备", "帐篷搭建", "露营早餐"), ("camping gear", "tent setup")),
    Leaf("dance.folk_dance", 4, "fans", "beat", ("民族舞", "扇子舞", "广场舞教学"), ("folk dance", "fan dance")),
    Leaf("music.singing", 3, "stage", "crowd", ("翻唱经典", "清唱片段", "合唱现场"), ("song cover", "live singing")),
    Leaf("food.hotpot", 3, "stage", "sizzle", ("重庆火锅", "火锅蘸料", "麻辣锅底"), ("spicy hotpot", "hotpot sauce")),
    Leaf("sports.yoga", 3, "fans", "hum", ("晨间瑜伽", "瑜伽入门", "拉伸放松"), ("morning yoga", "yoga for beginners")),
    Leaf("travel.mountains", 2.5, "peaks", "noise", ("登山徒步", "雪山日出", "徒步路线"), ("mountain hike", "snow mountain sunrise")),
    Leaf("pets.aquarium", 2.5, "waves", "hum", ("水草缸", "金鱼饲养", "造景鱼缸"), ("planted tank", "goldfish care")),
    Leaf("tech.drones", 2, "towers", "beep", ("无人机航拍", "航拍教程", "穿越机"), ("drone footage", "aerial shot")),
    Leaf("sports.swimming", 2, "waves", "bell", ("自由泳教学", "游泳训练", "蛙泳动作"), ("freestyle swimming", "swim training")),
    Leaf("home.tidying", 2, "grid", "beep", ("收纳技巧", "衣柜整理", "厨房收纳"), ("closet tidying", "kitchen storage")),
    Leaf("dance.ballet", 1.5, "stage", "pluck", ("芭蕾基训", "芭蕾舞者", "足尖练习"), ("ballet class", "pointe practice")),
)

# What a text of the level `top` says: which top class, not which leaf.
TOP_WORDS = {
    "food": ("好吃到停不下来", "今天吃什么", "so delicious"),
    "pets": ("毛孩子太可爱了", "铲屎官日常", "my cute pet"),
    "dance": ("跟我一起跳", "零基础学跳舞", "dance with me"),
    "music": ("好听到循环", "音乐现场", "listen to this song"),
    "sports": ("今天也要运动", "运动打卡", "workout of the day"),
    "travel": ("说走就走的旅行", "风景太美了", "travel diary"),
    "tech": ("数码好物分享", "开箱体验", "unboxing day"),
    "home": ("居家好物", "把日子过成诗", "cozy home ideas"),
}
GENERIC = ("记录美好生活", "今天的快乐", "周末愉快", "分享一下", "a good day", "watch till the end", "life lately")
NOISE_TAGS = ("感谢快手我要上热门", "我要上热门", "热门", "fyp", "viral", "抖音小助手")

# Phrases that no text holds before the last day, and the classes that use them then.
BORN = {
    "围炉煮茶": ("food.coffee", "food.home_cooking", "travel.camping", "travel.city_walk", "home.gardening"),
    "paper plane challenge": ("dance.street_dance", "pets.cats", "pets.dogs", "sports.basketball", "home.handcraft"),
}

CHINESE_TITLES = (
    "{p}的小技巧",
    "{p}入门教程",
    "今天来看{p}",
    "{p}，你学会了吗？",
    "一分钟了解{p}",
    "{p}｜新手必看",
    "我的{p}日记",
    "{p}合集",
)
ENGLISH_TITLES = ("How to enjoy {p}", "{p} for beginners", "My {p} diary", "Best of {p}", "{p} in one minute", "A day of {p}")
CHINESE_CAPTIONS = ("{p}真的很简单，{q}也可以试试", "喜欢{p}的朋友点个赞", "第一次尝试{p}😊", "{p}和{q}，你更喜欢哪个？", "周末就看{p}")
ENGLISH_CAPTIONS = ("I love {p} and {q} 😍", "trying {p} for the first time", "more {p} every week", "{p} or {q}? tell me below")
CHINESE_SPEECH = ("大家好，今天给大家分享{p}。先准备一下，然后我们慢慢来，最后再看看{q}。", "这期视频讲的是{p}，记得看到最后。")
ENGLISH_SPEECH = (
    "hello everyone today we talk about {p}. first get ready, then take it slow, and finish with {q}.",
    "this video is about {p}.",
)

ITEMS = {
    "food": (("手冲壶", "厨房/咖啡器具"), ("铸铁锅", "厨房/锅具"), ("蛋糕模具", "厨房/烘焙")),
    "pets": (("猫粮", "宠物/主粮"), ("牵引绳", "宠物/出行")),
    "dance": (("舞蹈鞋", "服饰/运动鞋"),),
    "music": (("民谣吉他", "乐器/弦乐"), ("电子琴", "乐器/键盘")),
    "sports": (("篮球", "运动/球类"), ("瑜伽垫", "运动/健身")),
    "travel": (("双人帐篷", "户外/露营"), ("登山杖", "户外/徒步")),
    "tech": (("手机支架", "数码/配件"), ("机械键盘", "数码/外设")),
    "home": (("园艺铲", "家居/园艺"), ("收纳盒", "家居/收纳")),
}
