"""The top module: a row and column scan around the address generators of one design, as Verilog text."""

from scrambler.feistel import ROUNDS, Domain
from scrambler.generators import TABLE
from sensor.rtl.design import Design, bits_for


def key_bits(design: Design, domain: Domain) -> int:
    """Return the width of a bijection's key bus."""
    return ROUNDS[design.generator] * (64 + bits_for(domain.high) + bits_for(domain.low - 1))


def bus_bits(design: Design) -> tuple[int, int]:
    """Return the widths of the row and the segment key bus; for tables, of their entries."""
    if design.generator == TABLE:
        return bits_for(design.rows - 1), bits_for(design.length(0) - 1) if design.segments else 1
    row = key_bits(design, design.row_domain)
    domains = {design.domain(s) for s in range(design.segments)} or {design.row_domain}
    return row, max(key_bits(design, domain) for domain in domains)


def order_module(design: Design) -> str:
    """Return the text of the module ``readout_order``.

    It delivers the photosite of every slot, one a clock, row by row of the readout. Before each row of cells it looks
    the row's address up, and before each segment it asks for the segment's round keys, or its table, and waits.
    """
    down, right = design.cell
    rows, columns = design.rows, design.columns
    row_bits, word_bits = bus_bits(design)
    row_delay, delay = _delays(design)
    yb, xb = bits_for(design.shape[0] - 1), bits_for(design.shape[1] - 1)
    return f"""// Readout order "{design.pattern}", unit {design.unit}, generator {design.generator}.
// {design.shape[1]} x {design.shape[0]} photosites.
`default_nettype none

module readout_order (
    input wire clk,
    input wire reset,
    // Round keys of the row address generator, stable over the frame; or a table's write port.
    input wire [{row_bits - 1}:0] row_keys,
    input wire row_write,
    input wire [31:0] row_write_address,
    // Round keys of the segment asked for; or a table's write port. The segment is read once `ready` says so.
    input wire [{word_bits - 1}:0] keys,
    input wire write,
    input wire [31:0] write_address,
    output reg ask,
    output reg [15:0] segment,
    input wire ready,
    // The photosite read into the next slot, and its address in the line buffer.
    output reg valid,
    output reg [{yb - 1}:0] y,
    output reg [{xb - 1}:0] x,
    output reg [31:0] local_address
);
    localparam [2:0] ROW = 3'd0, ASK = 3'd1, START = 3'd2, SCAN = 3'd3, DRAIN = 3'd4, DONE = 3'd5;
    localparam [15:0] ROWS = 16'd{rows}, COLUMNS = 16'd{columns};
    reg [2:0] state;
    reg [15:0] cell_row;
    reg [15:0] cell_column;
    reg [15:0] inner_row;
    reg [15:0] inner_column;
    reg [15:0] waited;
    reg fresh;
    reg [15:0] row_phase;
    reg [15:0] buffer_row;
{_row_generator(design)}
{_cell_generator(design)}
{_quotient(design)}    // What goes along with an address through the generator.
    reg [{delay}:0] valid_pipe;
    reg [16*{delay + 1}-1:0] inner_pipe;
    wire issue = (state == SCAN);
    wire [15:0] inner_out = inner_pipe[16*{delay - 1} +: 16];
    wire [31:0] cell_y = {_cell_y(design)};
    wire [31:0] cell_x = {_cell_x(design)};
    wire [31:0] wide_y = cell_y * 32'd{down} + {{16'b0, row_phase}};
    wire [31:0] wide_x = cell_x * 32'd{right} + {{16'b0, inner_out}};
    wire [31:0] line = wide_y - {{16'b0, buffer_row}} * 32'd{down};

    always @(posedge clk) begin
        valid_pipe <= {{valid_pipe[{delay - 1}:0], issue}};
        inner_pipe <= {{inner_pipe[16*{delay}-1:0], inner_column}};
        valid <= valid_pipe[{delay - 1}];
        y <= wide_y[{yb - 1}:0];
        x <= wide_x[{xb - 1}:0];
        local_address <= line * 32'd{design.shape[1]} + wide_x;
        if (reset) begin
            state <= ROW;
            cell_row <= 16'd0;
            cell_column <= 16'd0;
            inner_row <= 16'd0;
            inner_column <= 16'd0;
            row_phase <= 16'd0;
            buffer_row <= 16'd0;
            waited <= 16'd0;
            segment <= 16'd0;
            ask <= 1'b0;
            fresh <= 1'b1;
            valid_pipe <= {delay + 1}'d0;
            valid <= 1'b0;
        end else case (state)
            ROW: begin  // the row address generator works
                waited <= waited + 16'd1;
                if (waited == 16'd{row_delay}) begin
                    waited <= 16'd0;
                    state <= {"ASK" if design.segments else "START"};
                    {_next_segment(design)}
                end
            end
            ASK: begin
                ask <= fresh;
                if (!fresh || (ask && ready)) begin
                    ask <= 1'b0;
                    state <= START;
                end
            end
            START: begin
                row_phase <= inner_row;
                cell_column <= 16'd0;
                inner_column <= 16'd0;
                state <= SCAN;
            end
            SCAN: begin
                if (inner_column == 16'd{right - 1}) begin
                    inner_column <= 16'd0;
                    cell_column <= cell_column + 16'd1;
                    if (cell_column == COLUMNS - 16'd1) state <= DRAIN;
                end else inner_column <= inner_column + 16'd1;
            end
            DRAIN: begin  // blanking: what is in the generator comes out
                waited <= waited + 16'd1;
                if (waited == 16'd{delay + 1}) begin
                    waited <= 16'd0;
                    if (inner_row == 16'd{down - 1}) begin
                        inner_row <= 16'd0;
                        cell_row <= cell_row + 16'd1;
                        state <= (cell_row == ROWS - 16'd1) ? DONE : ROW;
                    end else begin
                        inner_row <= inner_row + 16'd1;
                        state <= START;
                    end
                end
            end
            default: state <= DONE;
        endcase
    end
endmodule

`default_nettype wire
"""


def _delays(design: Design) -> tuple[int, int]:
    """Return the clocks that the row generator and the cell generator take."""
    latency = 1 if design.generator == TABLE else ROUNDS[design.generator]
    return (latency + 1 if design.orders_rows else 1), (latency if design.segments else 1)


def _row_generator(design: Design) -> str:
    """Return the row address generator: ``row_address`` is the row of cells read at ``cell_row``."""
    if not design.orders_rows:
        return "    wire [31:0] row_address = {16'b0, cell_row};"
    if design.generator == TABLE:
        return _table(
            "rows_table", design.rows, "row_write", "row_write_address", "row_keys", "cell_row", "row_address"
        )
    domain = design.row_domain
    high, low = bits_for(domain.high), bits_for(domain.low - 1)
    keys = f"row_keys[{key_bits(design, domain) - 1}:0]"
    return f"""    reg [{high - 1}:0] row_high;
    reg [{low - 1}:0] row_low;
    always @(posedge clk) begin
        if (reset) begin
            row_high <= {high}'d0;
            row_low <= {low}'d0;
        end else if (state == DRAIN && waited == 16'd{_delays(design)[1] + 1} && inner_row == 16'd{design.cell[0] - 1})
            if (row_low == {low}'d{domain.low - 1}) begin
                row_low <= {low}'d0;
                row_high <= row_high + {high}'d1;
            end else row_low <= row_low + {low}'d1;
    end
{_bijection(design, domain, "row_bijection", "row_high", "row_low", keys, "row")}
    wire [31:0] row_address = {_wide("row_high_out", high)} * 32'd{domain.low} + {_wide("row_low_out", low)};"""


def _cell_generator(design: Design) -> str:
    """Return the generator of a segment's cells: ``cell_address`` is the cell read into the slot, counted from 0."""
    if not design.segments:
        return """    reg [31:0] cell_address;
    always @(posedge clk) cell_address <= {16'b0, cell_column};"""
    last = design.cell[1] - 1
    if design.generator == TABLE:
        size = design.length(0)
        bits = bits_for(size - 1)
        advance = f"if (inner_column == 16'd{last}) place <= place + {bits}'d1;"
        return _counter("place", bits, advance, design) + _table(
            "cells_table", size, "write", "write_address", "keys", "place", "cell_address"
        )
    if design.kind == "frame":
        domain = design.domain(0)
        high, low = bits_for(domain.high), bits_for(domain.low - 1)
        return f"""    wire [{high - 1}:0] cell_high = cell_row[{high - 1}:0];
    wire [{low - 1}:0] cell_low = cell_column[{low - 1}:0];
{_bijection(design, domain, "cell_bijection", "cell_high", "cell_low", "keys", "cell")}"""
    kinds = list(dict.fromkeys(design.domain(s) for s in range(design.segments)))
    text, chosen = "", "cell_address_0"
    for number, domain in enumerate(kinds):
        high, low = bits_for(domain.high), bits_for(domain.low - 1)
        h, w = f"high_{number}", f"low_{number}"
        advance = f"""if (inner_column == 16'd{last}) begin
                if ({w} == {low}'d{domain.low - 1}) begin
                    {w} <= {low}'d0;
                    {h} <= {h} + {high}'d1;
                end else {w} <= {w} + {low}'d1;
            end"""
        text += _counter(h, high, advance, design, w, low)
        keys = f"keys[{key_bits(design, domain) - 1}:0]"
        text += _bijection(design, domain, f"cell_bijection_{number}", h, w, keys, f"cell_{number}")
        text += f"""
    wire [31:0] cell_address_{number} = {_wide(f"cell_{number}_high_out", high)} * 32'd{domain.low} + \
{_wide(f"cell_{number}_low_out", low)};
"""
    if len(kinds) == 2:  # the last line buffer holds fewer rows
        chosen = f"(segment == 16'd{design.segments - 1}) ? cell_address_1 : cell_address_0"
    return text + f"    wire [31:0] cell_address = {chosen};"


def _counter(name: str, bits: int, advance: str, design: Design, second: str = "", second_bits: int = 1) -> str:
    """Return a counter of the cells of a segment that goes back to the row's begin for the other rows of the cells."""
    pairs = [(name, bits)] + ([(second, second_bits)] if second else [])
    declared = "\n".join(f"    reg [{b - 1}:0] {n};\n    reg [{b - 1}:0] {n}_begin;" for n, b in pairs)
    clear = " ".join(f"{n} <= {b}'d0; {n}_begin <= {b}'d0;" for n, b in pairs)
    back = " ".join(f"{n} <= {n}_begin;" for n, _ in pairs)
    keep = " ".join(f"{n}_begin <= {n};" for n, _ in pairs)
    return f"""{declared}
    always @(posedge clk) begin
        if (reset || (state == ASK && fresh)) begin {clear} end
        else if (state == START && inner_row == 16'd0) begin {keep} end
        else if (state == START) begin {back} end
        else if (state == SCAN) begin
            {advance}
        end
    end
"""


def _table(name: str, size: int, write: str, address: str, data: str, read: str, out: str) -> str:
    bits = bits_for(size - 1)
    return f"""    wire [{bits - 1}:0] {name}_out;
    order_table #(.SIZE({size}), .AB({bits})) {name} (
        .clk(clk), .write({write}), .write_address({address}[{bits - 1}:0]), .write_data({data}[{bits - 1}:0]),
        .read_address({read}[{bits - 1}:0]), .read_data({name}_out)
    );
    wire [31:0] {out} = {_wide(f"{name}_out", bits)};"""


def _bijection(design: Design, domain: Domain, name: str, high: str, low: str, keys: str, out: str) -> str:
    high_bits, low_bits = bits_for(domain.high), bits_for(domain.low - 1)
    return f"""    wire [{high_bits - 1}:0] {out}_high_out;
    wire [{low_bits - 1}:0] {out}_low_out;
    keyed_bijection #(
        .HIGH(17'd{domain.high}), .LOW(17'd{domain.low}), .REST(17'd{domain.rest}), .HB({high_bits}), .LB({low_bits}),
        .ROUNDS({ROUNDS[design.generator]}), .LIGHT({int(design.generator == "light")})
    ) {name} (
        .clk(clk), .high_in({high}), .low_in({low}), .keys({keys}), .high_out({out}_high_out), .low_out({out}_low_out)
    );"""


def _wide(name: str, bits: int) -> str:
    """Return a net with zeros in front, 32 bits wide."""
    return f"{{{32 - bits}'b0, {name}}}"


def _quotient(design: Design) -> str:
    """Return cell_address / columns, by a multiplication that is exact for every address of a segment."""
    if design.kind == "lines" or (design.kind == "frame" and design.generator == TABLE):
        size_bits = bits_for(design.length(0) - 1)
        shift = size_bits + bits_for(design.columns - 1)
        factor = -(-(1 << shift) // design.columns)
        return f"""    wire [63:0] scaled = {{32'b0, cell_address}} * 64'd{factor};
    wire [31:0] quotient = {{{{{32 - size_bits}{{1'b0}}}}, scaled[{shift + size_bits - 1}:{shift}]}};
"""
    return ""


def _cell_y(design: Design) -> str:
    if design.kind == "frame" and design.generator != TABLE:
        return _wide("cell_high_out", bits_for(design.domain(0).high))
    if design.kind in ("frame", "lines"):
        return "{16'b0, buffer_row} + quotient"
    return "row_address"


def _cell_x(design: Design) -> str:
    if design.kind == "frame" and design.generator != TABLE:
        return _wide("cell_low_out", bits_for(design.domain(0).low - 1))
    if design.kind in ("frame", "lines"):
        return f"cell_address - quotient * 32'd{design.columns}"
    return "cell_address"


def _next_segment(design: Design) -> str:
    """Return what is set before a row: which segment it needs, whether that is new, and where the buffer begins."""
    if design.kind == "frame":
        return "fresh <= (cell_row == 16'd0);"
    if design.kind == "lines":
        return f"""if (cell_row == 16'd0 || cell_row == buffer_row + 16'd{design.lines}) begin
                        fresh <= 1'b1;
                        segment <= (cell_row == 16'd0) ? 16'd0 : segment + 16'd1;
                        buffer_row <= cell_row;
                    end else fresh <= 1'b0;"""
    if design.segments:
        return "fresh <= 1'b1; segment <= row_address[15:0];"
    return ""
