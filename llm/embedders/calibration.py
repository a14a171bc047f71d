"""Text that shows an embedder the ranges it will meet: English and Chinese prose, tables, mail, code and numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator

ENGLISH = (
    "Employees accrue one and a half days of leave for each full month of service, up to eighteen days a year.",
    "Before you open the cabinet, disconnect the mains supply and wait five minutes for the capacitors to discharge.",
    "The supplier shall deliver within 30 days of the order; late delivery is charged at 0.5% of the price per week.",
    "Revenue rose 12.4% to $48.3 million in the third quarter, while operating costs fell, the first time since 2019.",
    "The cathedral was begun in 1248 and left without its towers until the original drawings were found again.",
    "What is the maximum operating temperature of the sensor?",
    "who wrote the opera that opened the theatre in 1871",
    "Dear Ms Okafor, thank you for your message of 3 March. We will replace the faulty unit free of charge.",
    "Item | Quantity | Unit price | Total\nHex bolt M8 | 400 | 0.12 | 48.00\nSpring washer | 400 | 0.03 | 12.00",
    "def area(radius: float) -> float:\n    return math.pi * radius ** 2",
    "Photosynthesis stores the energy of light in sugars; the oxygen that we breathe is left over.",
    "The committee approved the minutes of the last meeting and moved the discussion of parking fees to item 7.",
    "Personal data is kept for six years after the contract ends and is then erased, unless the law demands otherwise.",
    "Her second album, recorded in eleven days, reached number four and stayed in the charts until the summer.",
    "Take one tablet twice a day with water. Do not drive if you feel drowsy.",
    "See https://example.org/support, call +44 20 7946 0018, or write to support@example.org (Mon-Fri, 9:00-17:00).",
    "The river rises at 2,100 metres, runs 846 km to the south-east and drains some 60,000 square kilometres.",
    "Error 0x80070057: the parameter is incorrect. Restart the service and check that the path has no trailing slash.",
    "Goals: Hansen 23', Ito 67' (pen.), 90+2'. Attendance: 41,207.",
    "In 1954 the two villages merged, and the railway that had joined them was closed nine years later.",
)
CHINESE = (
    "员工每工作满一个月可享受一天半的年假，全年累计不超过十八天，未休完的部分可以顺延到次年三月底。",
    "打开机柜之前，请先切断电源，并等待五分钟，待电容器放电完毕后再进行操作。",
    "供方应当在收到订单后三十日内交货；逾期交货的，每周按合同总价的0.5%支付违约金。",
    "第三季度营业收入同比增长12.4%，达到4.83亿元，而营业成本自2019年以来首次下降。",
    "这座大教堂始建于1248年，直到最初的图纸被重新发现，双塔才得以完成。",
    "传感器的最高工作温度是多少？",
    "谁写了1871年剧院开幕时上演的那部歌剧",
    "王女士您好：您三月三日的来信已经收到，我们将免费为您更换有故障的设备。",
    "名称 | 数量 | 单价 | 合计\n六角螺栓 | 400 | 0.12 | 48.00\n弹簧垫圈 | 400 | 0.03 | 12.00",
    "光合作用把光能储存在糖类之中，我们呼吸的氧气是它的副产品。",
    "委员会通过了上次会议的纪要，并将停车收费问题移至第七项议程讨论。",
    "個人資料於契約終止後保存六年，期滿即予刪除，但法律另有規定者不在此限。",
    "她的第二张专辑只用十一天就录制完成，最高升至排行榜第四位，并一直停留到夏天。",
    "每日两次，每次一片，用温水送服。服药后如感到困倦，请勿驾驶车辆。",
    "该河发源于海拔2100米处，全长846公里，向东南流去，流域面积约6万平方公里。",
    "1954年兩個村莊合併，連接它們的鐵路在九年後停止營運。",
    "错误代码E-07：参数不正确。请重新启动服务，并检查路径末尾是否有多余的斜杠。",
    "主队在第23分钟和第67分钟（点球）各入一球，现场观众共41207人。",
    "本手册适用于ＢＲ－２００型水泵，版权所有，未经书面许可不得复制。",
    "《红楼梦》是清代作家曹雪芹所著的长篇小说，通行本共一百二十回。",
)


def passages(n: int) -> Iterator[str]:
    """Yield ``n`` texts of one to eight sentences, English and Chinese in turn; the same ones each time."""
    chosen = random.Random(20)  # any seed: it makes set-ups alike
    for number in range(n):
        sentences = (ENGLISH, CHINESE)[number % 2]
        yield " ".join(chosen.sample(sentences, chosen.choice((1, 1, 2, 4, 6, 8))))
