"""One zone of a readout as Verilog text: its row and column scan around its address generators."""

from scrambler.feistel import ROUNDS, Domain
from scrambler.generators import TABLE
from sensor.rtl.design import Zone, bits_for


def bus_bits(zone: Zone, generator: str) -> tuple[int, int]:
    """Return the widths of a zone's row and segment key bus; for tables, of their entries; else 1."""
    if generator == TABLE:
        widths = bits_for(zone.rows - 1), bits_for(zone.length - 1)
    else:
        widths = _key_bits(zone.row_domain, generator), _key_bits(zone.domain, generator)
    return widths[0] if zone.orders_rows else 1, widths[1] if zone.segments else 1


def _key_bits(domain: Domain, generator: str) -> int:
    """Return the width of a bijection's key bus."""
    return ROUNDS[generator] * (64 + bits_for(domain.high) + bits_for(domain.low - 1))


def zone_module(zone: Zone, generator: str, name: str) -> str:
    """Return the text of one zone's module.

    It delivers the photosite of each of the zone's slots, row by row of the readout, as row ``v`` and column ``u`` of
    the zone. Before each row of cells it looks the row's address up, and before each segment it asks for the segment's
    round keys, or its table, and waits. While a photosite is not taken, everything stands still.
    """
    latency = 1 if generator == TABLE else ROUNDS[generator]
    row_delay, delay = latency + 1 if zone.orders_rows else 0, latency if zone.segments else 1
    (down, right), (row_bits, word_bits) = zone.cell, bus_bits(zone, generator)
    quotient, cell_row, cell_column = _cell(zone, generator)
    asks = "ASK" if zone.tiles > 1 else "START"
    return f"""// {zone.rows} x {zone.columns} cells of {down} x {right} photosites, generator {generator}.
module {name} (
    input wire clk,
    input wire reset,
    input wire [{row_bits - 1}:0] row_keys,
    input wire row_write,
    input wire [31:0] row_write_address,
    input wire [{word_bits - 1}:0] keys,
    input wire write,
    input wire [31:0] write_address,
    output reg ask,
    output reg [31:0] segment,
    input wire ready,
    input wire take,
    output reg valid,
    output reg [15:0] v,
    output reg [15:0] u
);
    localparam [2:0] ROW = 3'd0, ASK = 3'd1, START = 3'd2, SCAN = 3'd3, DRAIN = 3'd4, DONE = 3'd5;
    wire go = !valid || take;
    reg [2:0] state;
    reg [15:0] cell_row;
    reg [15:0] cell_column;
    reg [15:0] inner_row;
    reg [15:0] inner_column;
    reg [7:0] waited;
    // Row of cells in the segment, first row and first column of the segment, number of the row's first segment.
    reg [15:0] deep_row;
    reg [15:0] base_row;
    reg [15:0] base_column;
    reg [31:0] first_segment;
    reg [31:0] tile;
    wire segment_ends = (deep_row == 16'd{zone.deep - 1});
    wire run_ends = (state == DRAIN) && (waited == 8'd{delay + 1});
    wire row_ends = run_ends && (tile == 32'd{zone.tiles - 1}) && (inner_row == 16'd{down - 1});
    wire advance = (state == SCAN) && (inner_column == 16'd{right - 1});
{_row_generator(zone, generator)}
{_cell_generator(zone, generator)}
{quotient}    // What goes along with an address through the generator.
    reg [{delay}:0] valid_pipe;
    reg [16*{delay + 1}-1:0] inner_pipe;
    wire [31:0] cell_v = {cell_row};
    wire [31:0] cell_u = {cell_column};
    wire [31:0] wide_v = cell_v * 32'd{down} + {{16'b0, inner_row}};
    wire [31:0] wide_u = cell_u * 32'd{right} + {{16'b0, inner_pipe[16*{delay - 1} +: 16]}};

    always @(posedge clk) begin
        if (go) begin
            valid_pipe <= {{valid_pipe[{delay - 1}:0], state == SCAN}};
            inner_pipe <= {{inner_pipe[16*{delay}-1:0], inner_column}};
            valid <= valid_pipe[{delay - 1}];
            v <= wide_v[15:0];
            u <= wide_u[15:0];
        end
        if (reset) begin
            state <= ROW;
            cell_row <= 16'd0;
            cell_column <= 16'd0;
            inner_row <= 16'd0;
            inner_column <= 16'd0;
            waited <= 8'd0;
            deep_row <= 16'd0;
            base_row <= 16'd0;
            base_column <= 16'd0;
            first_segment <= 32'd0;
            tile <= 32'd0;
            segment <= 32'd0;
            ask <= 1'b0;
            valid_pipe <= {delay + 1}'d0;
            valid <= 1'b0;
        end else if (go) case (state)
            ROW: begin  // the row address generator works
                waited <= waited + 8'd1;
                if (waited == 8'd{row_delay}) begin
                    waited <= 8'd0;
                    state <= {"(deep_row == 16'd0) ? ASK : " + asks if zone.segments else "START"};
                end
            end
            ASK: begin
                segment <= {"row_address" if zone.orders_rows else "first_segment + tile"};
                ask <= 1'b1;
                if (ask && ready) begin
                    ask <= 1'b0;
                    state <= START;
                end
            end
            START: begin
                cell_column <= 16'd0;
                inner_column <= 16'd0;
                state <= SCAN;
            end
            SCAN: begin
                inner_column <= inner_column + 16'd1;
                if (advance) begin
                    inner_column <= 16'd0;
                    cell_column <= cell_column + 16'd1;
                    if (cell_column == 16'd{zone.wide - 1 if zone.segments else zone.columns - 1}) state <= DRAIN;
                end
            end
            DRAIN: begin  // blanking: what is in the generator comes out
                waited <= waited + 8'd1;
                if (run_ends) begin
                    waited <= 8'd0;
                    tile <= tile + 32'd1;
                    base_column <= base_column + 16'd{zone.wide};
                    state <= {asks};
                    if (tile == 32'd{zone.tiles - 1}) begin
                        tile <= 32'd0;
                        base_column <= 16'd0;
                        inner_row <= inner_row + 16'd1;
                    end
                    if (row_ends) begin
                        inner_row <= 16'd0;
                        cell_row <= cell_row + 16'd1;
                        deep_row <= deep_row + 16'd1;
                        if (segment_ends) begin
                            deep_row <= 16'd0;
                            base_row <= cell_row + 16'd1;
                            first_segment <= first_segment + 32'd{zone.tiles};
                        end
                        state <= (cell_row == 16'd{zone.rows - 1}) ? DONE : ROW;
                    end
                end
            end
            default: state <= DONE;
        endcase
    end
endmodule
"""


def _row_generator(zone: Zone, generator: str) -> str:
    """Return the row address generator: ``row_address`` is the row of cells read at ``cell_row``."""
    if not zone.orders_rows:
        return "    wire [31:0] row_address = {16'b0, cell_row};"
    if generator == TABLE:
        return _table("row", zone.rows, ("row_write", "row_write_address", "row_keys"), "cell_row")
    return _digits("row", zone.row_domain, "row_ends", "reset") + _bijection("row", zone.row_domain, generator)


def _cell_generator(zone: Zone, generator: str) -> str:
    """Return the generator of a segment's cells: ``cell_address`` is the cell read into the slot, counted from 0."""
    if not zone.segments:
        return "    reg [31:0] cell_address;\n    always @(posedge clk) if (go) cell_address <= {16'b0, cell_column};"
    if generator == TABLE:
        bits = bits_for(zone.length - 1)
        counter = _kept([("place", bits)], f"place <= place + {bits}'d1;")
        return counter + _table("cell", zone.length, ("write", "write_address", "keys"), "place")
    return _digits("cell", zone.domain) + _bijection("cell", zone.domain, generator)


def _digits(name: str, domain: Domain, when: str = "", clear: str = "") -> str:
    """Return a counter of addresses in a domain's digits: ``NAME_high`` and ``NAME_low``."""
    high, low = bits_for(domain.high), bits_for(domain.low - 1)
    count = f"""if ({name}_low == {low}'d{domain.low - 1}) begin
            {name}_low <= {low}'d0;
            {name}_high <= {name}_high + {high}'d1;
        end else {name}_low <= {name}_low + {low}'d1;"""
    registers = [(f"{name}_high", high), (f"{name}_low", low)]
    if not when:
        return _kept(registers, f"begin {count} end")
    declared = "\n".join(f"    reg [{bits - 1}:0] {register};" for register, bits in registers)
    zero = " ".join(f"{register} <= {bits}'d0;" for register, bits in registers)
    return f"""{declared}
    always @(posedge clk) begin
        if ({clear}) begin {zero} end
        else if (go && {when}) begin {count} end
    end
"""


def _kept(registers: list[tuple[str, int]], count: str) -> str:
    """Return a counter of a segment's cells, which goes back to the row's begin for other tiles and inner rows."""
    declared = "\n".join(
        f"    reg [{bits - 1}:0] {name};\n    reg [{bits - 1}:0] {name}_begin;" for name, bits in registers
    )
    clear = " ".join(f"{name}_begin <= {bits}'d0;" for name, bits in registers)
    keep = " ".join(f"{name}_begin <= {name};" for name, _ in registers)
    back = " ".join(f"{name} <= {name}_begin;" for name, _ in registers)
    return f"""{declared}
    always @(posedge clk) begin
        if (reset) begin {clear} end
        else if (go && row_ends) begin
            if (segment_ends) begin {clear} end
            else begin {keep} end
        end
        if (go && state == START) begin {back} end
        else if (go && advance) {count}
    end
"""


def _table(name: str, size: int, port: tuple[str, str, str], read: str) -> str:
    """Return a table; ``NAME_address`` is what it holds at `read`."""
    bits = bits_for(size - 1)
    write, address, data = port
    return f"""    wire [{bits - 1}:0] {name}_out;
    order_table #(.SIZE({size}), .AB({bits})) {name}_table (
        .clk(clk), .enable(go),
        .write({write}), .write_address({address}[{bits - 1}:0]), .write_data({data}[{bits - 1}:0]),
        .read_address({read}[{bits - 1}:0]), .read_data({name}_out)
    );
    wire [31:0] {name}_address = {_wide(f"{name}_out", bits)};"""


def _bijection(name: str, domain: Domain, generator: str) -> str:
    """Return a bijection of ``NAME_high`` and ``NAME_low``; ``NAME_address`` is the address that they go to."""
    high, low = bits_for(domain.high), bits_for(domain.low - 1)
    keys = "keys" if name == "cell" else f"{name}_keys"
    return f"""    wire [{high - 1}:0] {name}_high_out;
    wire [{low - 1}:0] {name}_low_out;
    keyed_bijection #(
        .HIGH(17'd{domain.high}), .LOW(17'd{domain.low}), .REST(17'd{domain.rest}), .HB({high}), .LB({low}),
        .ROUNDS({ROUNDS[generator]}), .LIGHT({int(generator == "light")})
    ) {name}_bijection (
        .clk(clk), .enable(go), .high_in({name}_high), .low_in({name}_low), .keys({keys}),
        .high_out({name}_high_out), .low_out({name}_low_out)
    );
    wire [31:0] {name}_address =
        {_wide(f"{name}_high_out", high)} * 32'd{domain.low} + {_wide(f"{name}_low_out", low)};"""


def _wide(name: str, bits: int) -> str:
    """Return a net with zeros in front, 32 bits wide."""
    return f"{{{32 - bits}'b0, {name}}}"


def _cell(zone: Zone, generator: str) -> tuple[str, str, str]:
    """Return a declaration, and the row and column of the cell in the zone, from its address in the segment."""
    if zone.deep == 1 or not zone.segments:
        return "", "row_address", "{16'b0, base_column} + cell_address" if zone.tiles > 1 else "cell_address"
    domain = zone.domain
    if generator != TABLE and (domain.high, domain.low, domain.rest) == (zone.deep, zone.wide, 0):
        high, low = _wide("cell_high_out", bits_for(domain.high)), _wide("cell_low_out", bits_for(domain.low - 1))
        return "", f"{{16'b0, base_row}} + {high}", f"{{16'b0, base_column}} + {low}"
    # A division by a constant, as a multiplication that is exact for every address of a segment.
    size = bits_for(zone.length - 1)
    shift = size + bits_for(zone.wide - 1)
    factor = -(-(1 << shift) // zone.wide)
    quotient = f"""    wire [63:0] scaled = {{32'b0, cell_address}} * 64'd{factor};
    wire [31:0] quotient = {_wide(f"scaled[{shift + size - 1}:{shift}]", size)};
"""
    return (
        quotient,
        "{16'b0, base_row} + quotient",
        f"{{16'b0, base_column}} + cell_address - quotient * 32'd{zone.wide}",
    )
