/// The form of a mark: it tells kinds apart without their colours.
enum ChartMark {
  case circle, square, diamond, triangle, cross

  /// - Parameter size: half its width.
  func path(x: Double, y: Double, size: Double, ink: Ink, isHollow: Bool = false) -> String {
    func p(_ value: Double) -> String { PageNumbers.place(value) }
    let look = "class=\"mark \(ink.rawValue)\(isHollow ? " hollow" : "")\""
    let s = size
    switch self {
    case .circle: return "<circle \(look) cx=\"\(p(x))\" cy=\"\(p(y))\" r=\"\(p(s))\"/>"
    case .square:
      return "<rect \(look) x=\"\(p(x - s))\" y=\"\(p(y - s))\" width=\"\(p(2 * s))\" height=\"\(p(2 * s))\"/>"
    case .diamond:
      let t = s * 1.4
      return "<path \(look) d=\"M\(p(x)) \(p(y - t))L\(p(x + t)) \(p(y))L\(p(x)) \(p(y + t))L\(p(x - t)) \(p(y))Z\"/>"
    case .triangle:
      return "<path \(look) d=\"M\(p(x - s)) \(p(y + s))L\(p(x + s)) \(p(y + s))L\(p(x)) \(p(y - s))Z\"/>"
    case .cross:
      return "<path \(look) d=\"M\(p(x - s)) \(p(y - s))L\(p(x + s)) \(p(y + s))M\(p(x - s)) \(p(y + s))"
        + "L\(p(x + s)) \(p(y - s))\"/>"
    }
  }
}

/// One drawing with two axes.
struct Chart {
  /// Letters and digits, unique on the page.
  let id: String
  let title: String
  /// What it shows, in words, for those who hear the page.
  let summary: String
  let x: AxisScale
  let y: AxisScale
  private let xLabel: String
  private let yLabel: String
  private var body = ""

  static let width = 440.0
  static let height = 320.0
  /// Where the axes meet and end.
  static let left = 68.0
  static let right = 414.0
  static let top = 14.0
  static let bottom = 268.0

  init(id: String, title: String, summary: String, x: AxisScale, _ xLabel: String, y: AxisScale, _ yLabel: String) {
    self.id = id
    self.title = title
    self.summary = summary
    self.x = x
    self.y = y
    self.xLabel = xLabel
    self.yLabel = yLabel
  }

  func across(_ value: Double) -> Double { Chart.left + x.place(value) * (Chart.right - Chart.left) }
  func up(_ value: Double) -> Double { Chart.bottom - y.place(value) * (Chart.bottom - Chart.top) }

  private func point(_ value: (x: Double, y: Double)) -> String {
    "\(PageNumbers.place(across(value.x))) \(PageNumbers.place(up(value.y)))"
  }

  // MARK: What is drawn

  mutating func line(_ points: [(x: Double, y: Double)], _ ink: Ink, isDashed: Bool = false) {
    guard points.count > 1 else { return }
    let path = "M" + points.map(point).joined(separator: "L")
    body += "<path class=\"line \(ink.rawValue)\(isDashed ? " dash" : "")\" d=\"\(path)\"/>\n"
  }

  /// Between two lines that share their places along the axis.
  mutating func band(_ points: [(x: Double, low: Double, high: Double)], _ ink: Ink) {
    guard points.count > 1 else { return }
    let edge = points.map { point(($0.x, $0.high)) } + points.reversed().map { point(($0.x, $0.low)) }
    body += "<path class=\"area \(ink.rawValue)\" d=\"M\(edge.joined(separator: "L"))Z\"/>\n"
  }

  /// A mark with what it stands for, said when pointed at; `label` is written beside it, above or below.
  mutating func mark(
    _ mark: ChartMark, x: Double, y: Double, _ ink: Ink, size: Double = 4, isHollow: Bool = false, title: String = "",
    label: String = "", isBelow: Bool = false
  ) {
    let (cx, cy) = (across(x), up(y))
    let drawing = mark.path(x: cx, y: cy, size: size, ink: ink, isHollow: isHollow)
    body += title.isEmpty ? drawing : "<g><title>\(PageText.escaped(title))</title>\(drawing)</g>"
    body += "\n"
    guard !label.isEmpty else { return }
    // A front rises and flattens: above it at the left and below it at the right there is room for a word.
    let isRight = isBelow ? cx < Chart.right - 60 : cx < Chart.left + 90
    let place = cx + (isRight ? 9 : -9)
    let height = isBelow ? min(cy + 18, Chart.bottom - 4) : max(cy - 9, Chart.top + 12)
    body += "<text x=\"\(PageNumbers.place(place))\" y=\"\(PageNumbers.place(height))\""
    body += " text-anchor=\"\(isRight ? "start" : "end")\">\(PageText.escaped(label))</text>\n"
  }

  /// An interval, upright or along the first axis.
  mutating func whisker(x: Double, low: Double, high: Double, _ ink: Ink) {
    body += "<path class=\"line thin \(ink.rawValue)\" d=\"M\(point((x, low)))L\(point((x, high)))\"/>\n"
  }
  mutating func whisker(y: Double, from low: Double, to high: Double, _ ink: Ink) {
    body += "<path class=\"line thin \(ink.rawValue)\" d=\"M\(point((low, y)))L\(point((high, y)))\"/>\n"
  }

  mutating func bar(from first: Double, to last: Double, height: Double, _ ink: Ink, title: String = "") {
    let (left, right) = (across(first), across(last))
    let (top, base) = (up(max(height, 0)), up(max(0, y.low)))
    let rect =
      "<rect class=\"bar \(ink.rawValue)\" x=\"\(PageNumbers.place(left))\" y=\"\(PageNumbers.place(top))\" "
      + "width=\"\(PageNumbers.place(max(0.5, right - left)))\" height=\"\(PageNumbers.place(max(0, base - top)))\"/>"
    body += title.isEmpty ? rect : "<g><title>\(PageText.escaped(title))</title>\(rect)</g>"
    body += "\n"
  }

  /// An upright line across the drawing with a word at its head.
  mutating func upright(x: Double, _ ink: Ink, label: String, isDashed: Bool = true) {
    let place = PageNumbers.place(across(x))
    let isRight = across(x) < (Chart.left + Chart.right) / 2
    body += "<path class=\"line thin \(ink.rawValue)\(isDashed ? " dash" : "")\" d=\"M\(place) "
    body += "\(PageNumbers.place(Chart.bottom))V\(PageNumbers.place(Chart.top))\"/>\n"
    body +=
      "<text x=\"\(PageNumbers.place(across(x) + (isRight ? 6 : -6)))\" y=\"\(PageNumbers.place(Chart.top + 13))\""
    body += " text-anchor=\"\(isRight ? "start" : "end")\">\(PageText.escaped(label))</text>\n"
  }

  // MARK: As text

  var svg: String {
    let id = PageText.escaped(id)
    return "<svg class=\"chart\" viewBox=\"0 0 \(PageNumbers.place(Chart.width)) \(PageNumbers.place(Chart.height))\" "
      + "role=\"img\" aria-labelledby=\"\(id)-t \(id)-d\">\n<title id=\"\(id)-t\">\(PageText.escaped(title))</title>\n"
      + "<desc id=\"\(id)-d\">\(PageText.escaped(summary))</desc>\n" + axes + body + "</svg>\n"
  }

  private var axes: String {
    func p(_ value: Double) -> String { PageNumbers.place(value) }
    var text = ""
    // Ticks too close to be read are left without their number: a crowded axis says nothing on a phone.
    var ceiling = Double.infinity
    for tick in y.ticks {
      let height = up(tick.value)
      text += "<path class=\"grid\" d=\"M\(p(Chart.left)) \(p(height))H\(p(Chart.right))\"/>\n"
      guard height <= ceiling else { continue }
      ceiling = height - 15
      text += "<text class=\"small\" x=\"\(p(Chart.left - 6))\" y=\"\(p(height + 4))\" text-anchor=\"end\">"
      text += "\(PageText.escaped(tick.text))</text>\n"
    }
    var free = -Double.infinity
    for tick in x.ticks {
      let place = across(tick.value)
      text += "<path class=\"grid\" d=\"M\(p(place)) \(p(Chart.top))V\(p(Chart.bottom))\"/>"
      let half = 3.8 * Double(tick.text.count)
      if place - half >= free {
        text += "<text class=\"small\" x=\"\(p(place))\" y=\"\(p(Chart.bottom + 18))\" text-anchor=\"middle\">"
        text += "\(PageText.escaped(tick.text))</text>"
        free = place + half + 4
      }
      text += "\n"
    }
    text += "<path class=\"frame\" d=\"M\(p(Chart.left)) \(p(Chart.top))V\(p(Chart.bottom))H\(p(Chart.right))\"/>\n"
    let middle = (p((Chart.left + Chart.right) / 2), p((Chart.top + Chart.bottom) / 2))
    text += "<text x=\"\(middle.0)\" y=\"\(p(Chart.bottom + 41))\" text-anchor=\"middle\">"
    text += "\(PageText.escaped(xLabel))</text>\n"
    text += "<text transform=\"translate(14 \(middle.1)) rotate(-90)\" text-anchor=\"middle\">"
    return text + "\(PageText.escaped(yLabel))</text>\n"
  }
}
