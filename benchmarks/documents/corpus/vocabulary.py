"""The words that documents are made of."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split("|")


WHO = _words(
    "the supplier|the operating committee|an independent laboratory|the first affiliate|every field office|"
    "the auditor|a coefficient of friction|the harbour authority|the efficient workflow|our research group|"
    "Dr. O'Brien's team|the finance officer|the off-site backup|a well-known manufacturer|the fluid reservoir|"
    "the waffle-plate filter"
)
DID = _words(
    "confirmed|reflected|delivered|offset|classified|measured|re-examined|approved|questioned|redefined|"
    "amplified|satisfied|simplified|outlined|recorded|shuffled"
)
WHAT = _words(
    "the quarterly figures|a five-year framework agreement|the flow rate of the second pump|"
    "all significant differences|its long-term obligations|the definition of sufficient evidence|"
    "an average of 3.75 per cent|$1,250,000.00 in fees|the results of 14 trials|the state-of-the-art coating|"
    "between 12 and 48 samples|the unofficial draft|the e-mail of 3 March 2024|a 95% confidence interval|"
    "the staff's profile|the traffic on both routes"
)
HOW = _words(
    "in the final report|before the end of the fiscal year|without further justification|"
    "at 25 °C and 1,013 hPa|according to § 12(3)|under difficult circumstances|"
    "on behalf of the affected parties|with sufficient accuracy|after the official inspection|"
    "for the benefit of the first-time buyer|within thirty (30) days|across all offices"
)
LINK = _words(
    "Moreover,|In contrast,|As a consequence,|Nevertheless,|For example,|In the meantime,|By definition,|At first,"
)
TOPICS = _words(
    "Introduction|Scope and definitions|Materials and methods|Traffic flow|Financial effects|Official findings|"
    "Discussion|Risk profile|Delivery and acceptance|Open questions|Staffing|Conclusions|Field tests|Affiliates"
)
GOODS = _words(
    "Filter|Pump|Valve|Offset plate|Flange|Bearing|Gasket|Coupling|Staff hours|Reflector|Sensor|Cable 5 m|Fitting"
)
PLACES = _words("Rotterdam|Antwerp|Genève|Zürich|São Paulo|Málaga|Tromsø|Coruña|Besançon")
HE = _words(
    "市政府有关部门|项目承办单位|甲方委托的第三方机构|华东地区各分公司|课题组|本公司董事会|供应商|监理工程师|"
    "财务部|数据安全委员会"
)
GE = _words(
    "认真研究了|已经核实|全面评估了|按期完成了|重新修订了|逐项落实了|如实披露了|抽样检测了|进一步优化了|正式批准了"
)
ZHE = _words(
    "第三季度的经营数据|水泵运行参数与能耗指标|合同约定的付款条件|三年期采购框架协议|12个批次的样品|"
    "不低于98.5%的合格率|人民币1,250,000元的预算|关键设备的维护记录|用户个人信息保护方案|"
    "2024年3月5日的会议纪要|“一站式”服务流程|风险分级管控清单"
)
MA = _words(
    "，并提出了整改意见|，结果符合预期|，有效降低了运营成本|，仍有少量问题待解决|，相关材料已经归档|"
    "；其余事项另行通知|，误差控制在允许范围之内|，为下一阶段工作奠定了基础"
)
KE = _words("此外，|与此同时，|在此基础上，|根据GB/T 19001标准，|截至年底，|经过比较，|")
TI = _words("总体情况|主要工作|技术路线|经费预算|风险分析|质量保证|组织实施|附加说明|结论与建议|数据来源")
WU = _words("离心泵|电磁阀|过滤器|传感器|控制柜|密封圈|轴承|法兰|电缆|显示屏")
RARE = _words(
    "abundant|accessible|adjacent|agricultural|ambiguous|analogous|anonymous|architectural|attentive|auxiliary|"
    "bilateral|botanical|bureaucratic|capillary|ceremonial|chronological|circumstantial|coastal|commensurate|"
    "compensatory|concentric|conscientious|contemporary|contingent|corrosive|cumulative|deciduous|deliberate|"
    "detrimental|diagonal|discretionary|dispensable|ecological|elaborate|elementary|emblematic|equivalent|"
    "eventual|exhaustive|experimental|extraneous|ferrous|fiduciary|fragmentary|geothermal|granular|gregarious|"
    "hazardous|hereditary|horizontal|hydraulic|hypothetical|illustrative|impartial|inadvertent|incremental|"
    "indigenous|industrial|inflammable|intermittent|itinerant|judicious|kinematic|laborious|latitudinal|"
    "legislative|luminous|magnetic|maritime|mechanical|mercantile|metallurgical|meticulous|molecular|municipal|"
    "navigable|negligible|nocturnal|numerical|obligatory|obsolete|occasional|orthogonal|panoramic|"
    "parliamentary|peculiar|perennial|peripheral|petroleum|pneumatic|portable|precarious|preliminary|"
    "proportional|provincial|quadratic|radioactive|reciprocal|redundant|residual|rudimentary|sedimentary|"
    "simultaneous|spectacular|spontaneous|stationary|stringent|subterranean|superficial|supplementary|"
    "symmetrical|tangible|temperate|territorial|transparent|turbulent|ubiquitous|unanimous|vegetative|"
    "ventilated|vertical|vigorous|voluntary|vulnerable"
)
THINGS = _words(
    "abbreviation|accordion|adjudication|alignment|allotment|amendment|apparatus|apprenticeship|arbitration|"
    "archipelago|assortment|atmosphere|attendance|authentication|balustrade|bankruptcy|benchmark|bibliography|"
    "bulkhead|cabinet|calibration|candidate|carpentry|catalogue|certificate|chandelier|circulation|clearance|"
    "combustion|commodity|compartment|compliance|condensation|consignment|constellation|contractor|convention|"
    "corridor|crystallisation|curriculum|customs|declaration|demolition|dependency|depreciation|diaphragm|"
    "disbursement|discrepancy|distillation|documentation|drainage|easement|embankment|endowment|engraving|"
    "enterprise|escalator|evaporation|excavation|expenditure|fabrication|fermentation|filtration|forestry|"
    "formulation|foundation|fountain|freight|galvanometer|generator|glassware|guarantee|handicraft|"
    "headquarters|hospitality|housing|hydrometer|immigration|implementation|indemnity|infrastructure|"
    "inheritance|inspection|instrument|insulation|inventory|irrigation|jurisdiction|kerosene|laboratory|"
    "landlord|latitude|legislation|lieutenant|liquidation|lubrication|machinery|maintenance|mandate|manuscript|"
    "membrane|merchandise|metallurgy|microscope|moratorium|mortgage|navigation|negotiation|newspaper|"
    "observatory|occupancy|orchestra|ordinance|parchment|partition|pavement|perimeter|permission|petition|"
    "pharmacy|photograph|plantation|portfolio|precipitation|prescription|procurement|propeller|quarantine|"
    "railway|ratification|receptacle|refrigeration|registrar|remittance|renovation|reservation|resolution|"
    "restoration|sanitation|scaffolding|schedule|secretariat|sediment|settlement|shipment|signature|"
    "stipulation|subsidiary|surveyor|telegraph|temperature|tenancy|theodolite|timetable|transmission|treasury|"
    "turbine|upholstery|utilisation|vaccination|vegetation|ventilation|voucher|warehouse|waterproofing|"
    "workmanship"
)
