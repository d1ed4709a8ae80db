// A keyed bijection of HIGH * LOW + REST addresses without a table: one address a clock, ROUNDS clocks of latency;
// all of it stands still while `enable` is low.
// The key bus holds, for each round from the lowest bits up: k0, k1, offset's high digit, offset's low digit.
`default_nettype none

module keyed_bijection #(
    parameter [16:0] HIGH = 17'd4,
    parameter [16:0] LOW = 17'd5,
    parameter [16:0] REST = 17'd0,
    parameter integer HB = 3,
    parameter integer LB = 3,
    parameter integer ROUNDS = 12,
    parameter integer LIGHT = 0
) (
    input wire clk,
    input wire enable,
    input wire [HB-1:0] high_in,
    input wire [LB-1:0] low_in,
    input wire [ROUNDS*(64+HB+LB)-1:0] keys,
    output wire [HB-1:0] high_out,
    output wire [LB-1:0] low_out
);
    localparam integer KEY = 64 + HB + LB;

    wire [(ROUNDS+1)*HB-1:0] high;
    wire [(ROUNDS+1)*LB-1:0] low;
    assign high[0 +: HB] = high_in;
    assign low[0 +: LB] = low_in;

    genvar i;
    generate
        for (i = 0; i < ROUNDS; i = i + 1) begin : round
            keyed_round #(
                .HIGH(HIGH), .LOW(LOW), .REST(REST), .HB(HB), .LB(LB), .LIGHT(LIGHT),
                .ODD(i % 2), .MOVES((i == 0 || REST != 17'd0) ? 1 : 0)
            ) keyed_round (
                .clk(clk),
                .enable(enable),
                .high_in(high[i*HB +: HB]),
                .low_in(low[i*LB +: LB]),
                .k0(keys[i*KEY +: 32]),
                .k1(keys[i*KEY + 32 +: 32]),
                .offset_high(keys[i*KEY + 64 +: HB]),
                .offset_low(keys[i*KEY + 64 + HB +: LB]),
                .high_out(high[(i+1)*HB +: HB]),
                .low_out(low[(i+1)*LB +: LB])
            );
        end
    endgenerate

    assign high_out = high[ROUNDS*HB +: HB];
    assign low_out = low[ROUNDS*LB +: LB];
endmodule

`default_nettype wire
