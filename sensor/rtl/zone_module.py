"""One zone of a readout as Verilog text: its row and column scan around its address generators."""

from scrambler.feistel import ROUNDS
from scrambler.generators import TABLE
from sensor.rtl.design import Zone, bits_for
from sensor.rtl.zone_generators import bus_bits, cell_generator, row_generator, wide


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
    # Tiles beside one another need other keys in every row, whole rows only in the first one of a segment.
    again = "ASK" if zone.tiles > 1 else "START"
    first = "START" if not zone.segments else "ASK" if zone.tiles > 1 else "(deep_row == 16'd0) ? ASK : START"
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
{row_generator(zone, generator)}
{cell_generator(zone, generator)}
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
                    state <= {first};
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
                    state <= {again};
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


def _cell(zone: Zone, generator: str) -> tuple[str, str, str]:
    """Return a declaration, and the row and column of the cell in the zone, from its address in the segment."""
    if zone.deep == 1 or not zone.segments:
        return "", "row_address", "{16'b0, base_column} + cell_address" if zone.tiles > 1 else "cell_address"
    domain = zone.domain
    if generator != TABLE and (domain.high, domain.low, domain.rest) == (zone.deep, zone.wide, 0):
        high, low = wide("cell_high_out", bits_for(domain.high)), wide("cell_low_out", bits_for(domain.low - 1))
        return "", f"{{16'b0, base_row}} + {high}", f"{{16'b0, base_column}} + {low}"
    # A division by a constant, as a multiplication that is exact for every address of a segment.
    size = bits_for(zone.length - 1)
    shift = size + bits_for(zone.wide - 1)
    factor = -(-(1 << shift) // zone.wide)
    quotient = f"""    wire [63:0] scaled = {{32'b0, cell_address}} * 64'd{factor};
    wire [31:0] quotient = {wide(f"scaled[{shift + size - 1}:{shift}]", size)};
"""
    return (
        quotient,
        "{16'b0, base_row} + quotient",
        f"{{16'b0, base_column}} + cell_address - quotient * 32'd{zone.wide}",
    )
